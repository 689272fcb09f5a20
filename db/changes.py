"""The change counter: how every process learns, within a second, what it must forget."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.tables import Change, ChangeCounter

Kind = Literal["key", "tenant", "plan", "models", "user", "token", "signing-keys", "peppers"]


def announce(session: Session, kind: Kind, object_id: str) -> None:
    """Counts a change up, in the transaction that makes it; other announcers wait for its commit."""
    counter = update(ChangeCounter).values(value=ChangeCounter.value + 1).returning(ChangeCounter.value)
    session.add(Change(number=session.scalar(counter), kind=kind, object_id=object_id))


def latest(session: Session) -> int:
    """The number of the last change."""
    return session.scalars(select(ChangeCounter.value)).one()


def since(session: Session, number: int) -> list[Change]:
    """The changes after `number`, oldest first."""
    return list(session.scalars(select(Change).where(Change.number > number).order_by(Change.number)))
