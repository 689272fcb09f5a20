"""The change counter, by which every process learns within a second what it must forget."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.tables import Change, ChangeCounter

Kind = Literal["key", "tenant", "plan", "models", "user", "token", "signing-keys", "peppers"]

#: Processes read them four times a second: nobody is so far behind.
KEPT = 10_000


def announce(session: Session, kind: Kind, object_id: str) -> None:
    """Counts a change up, in the transaction that makes it; other announcers wait for its commit."""
    counter = update(ChangeCounter).values(value=ChangeCounter.value + 1).returning(ChangeCounter.value)
    session.add(Change(number=session.scalar(counter), kind=kind, object_id=object_id))


def latest(session: Session) -> int:
    """The number of the last change."""
    return session.scalars(select(ChangeCounter.value)).one()


def since(session: Session, number: int) -> list[Change]:
    """The changes after `number`, oldest first; one of every kind comes before them if older ones are not kept."""
    changes = list(session.scalars(select(Change).where(Change.number > number).order_by(Change.number)))
    if not changes or changes[0].number == number + 1:
        return changes
    # Numbers have no gaps: a process that was away for so long must forget everything.
    return [*(Change(number=changes[0].number - 1, kind=kind, object_id="") for kind in get_args(Kind)), *changes]


def forget_changes(session: Session) -> None:
    """Deletes changes that every process has long obeyed, but for the last ones."""
    last = select(ChangeCounter.value).scalar_subquery()
    session.execute(delete(Change).where(Change.number <= last - KEPT))
