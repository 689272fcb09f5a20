"""The change counter: it tells every process within a second what to forget."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.tables import Change, ChangeCounter

Kind = Literal["key", "tenant", "plan", "models", "user", "token", "signing-keys", "peppers"]

#: Processes read changes four times a second: none is so far behind.
KEPT = 10_000


def announce(session: Session, kind: Kind, object_id: str) -> None:
    """Counts a change up, in the transaction that makes it; other announcers wait for its commit."""
    counter = update(ChangeCounter).values(value=ChangeCounter.value + 1).returning(ChangeCounter.value)
    session.add(Change(number=session.scalar(counter), kind=kind, object_id=object_id))


def latest(session: Session) -> int:
    """Returns the number of the last change."""
    return session.scalars(select(ChangeCounter.value)).one()


def since(session: Session, number: int) -> list[Change]:
    """Returns the changes after `number`, oldest first; if older ones are gone, one of every kind comes first."""
    changes = list(session.scalars(select(Change).where(Change.number > number).order_by(Change.number)))
    if not changes or changes[0].number == number + 1:
        return changes
    # Numbers have no gaps: the process missed changes that are gone, and must forget everything.
    return [*(Change(number=changes[0].number - 1, kind=kind, object_id="") for kind in get_args(Kind)), *changes]


def forget_changes(session: Session) -> None:
    """Deletes changes that every process has long obeyed; keeps the last `KEPT`."""
    last = select(ChangeCounter.value).scalar_subquery()
    session.execute(delete(Change).where(Change.number <= last - KEPT))
