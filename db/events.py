"""Events: what administrators changed and what auditors read, written in the same transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.ids import uuid7
from db.tables import Event, Key


def record_event(
    session: Session, *, actor: str, verb: str, object_id: str, tenant_id: str | None = None, **details: Any
) -> None:
    """Adds an event named `object.verb`; `details` hold what changed and never a secret."""
    event = Event(id=uuid7(), at=datetime.now(UTC), actor=actor, verb=verb, object_id=object_id, details=details)
    event.tenant_id = tenant_id
    session.add(event)


def living_keys_made_by(session: Session, actor: str) -> list[str]:
    """The ids of keys that this actor issued and that are not revoked."""
    query = (
        select(Key.id)
        .join(Event, Event.object_id == Key.id)
        .where(Event.actor == actor, Event.verb == "key.issue", Key.revoked_at.is_(None))
    )
    return list(session.scalars(query))
