"""Events go through one scrubber before they are written: they are kept for ever, and read by many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from audit.redaction import scrub
from db.events import add_event
from values.ids import is_uuid7


def record_event(
    session: Session, *, actor: str, verb: str, object_id: str, tenant_id: str | None = None, **details: Any
) -> None:
    """Adds an event named `object.verb`, in the transaction of the change that it records.

    `details` hold what changed, and no secret. Words in them that look like a secret, or like somebody's card, account
    or address, are masked.
    """
    scrubbed = {name: _scrubbed(value) for name, value in details.items()}
    add_event(session, actor=actor, verb=verb, object_id=object_id, tenant_id=tenant_id, details=scrubbed)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        # Digits in an id of ours may look like somebody's number.
        return value if is_uuid7(value) else scrub(value)
    if isinstance(value, Mapping):
        return {name: _scrubbed(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(each) for each in value]
    return value
