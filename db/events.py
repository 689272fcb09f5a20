"""Events: administrators' changes and auditors' readings, each written in its own transaction with the act itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.reach import Reach, within
from db.tables import Event, Key, Tenant
from values.ids import uuid7


def add_event(
    session: Session, *, actor: str, verb: str, object_id: str, tenant_id: str | None, details: Mapping[str, Any]
) -> None:
    """Adds an event as it is. Events with details go through `audit/events.py`, which checks the details first."""
    event = Event(id=uuid7(), at=datetime.now(UTC), actor=actor, verb=verb, object_id=object_id, details=dict(details))
    event.tenant_id = tenant_id
    session.add(event)


def page_of_events(session: Session, cut: Cut, *, tenant_id: Reach) -> Page:
    """Returns a page of events, newest first, each with its tenant or None; ids sort by the millisecond."""
    query = select(Event, Tenant).outerjoin(Tenant, Tenant.id == Event.tenant_id)
    return read_page(session, query.where(within(Event.tenant_id, tenant_id)), Event.id, cut, newest_first=True)


def living_keys_made_by(session: Session, actor: str, *, tenant_id: Reach) -> list[str]:
    """Returns the ids of keys that this actor issued and that are not revoked."""
    query = (
        select(Key.id)
        .join(Event, Event.object_id == Key.id)
        .where(Event.actor == actor, Event.verb == "key.issue", Key.revoked_at.is_(None))
        .where(within(Key.tenant_id, tenant_id))
    )
    return list(session.scalars(query))
