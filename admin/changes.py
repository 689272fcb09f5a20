"""The transaction of a change, and the actor who makes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from auth.principal import Principal
from auth.standing import confirm
from db.database import Database
from db.reach import View


class Actor(Protocol):
    """Anybody who makes a change: a caller of the API (`Principal`) or an `Operator`."""

    @property
    def subject(self) -> str:
        """The actor's name in events."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who has the database's own password and needs no other: the command line, `adyton up`."""

    subject: str


@contextmanager
def change_by(database: Database, actor: Actor, reach: str | View) -> Iterator[Session]:
    """Opens the transaction of a change; the actor's standing holds from its beginning to its end.

    Raises `NotAuthenticated` for a caller who lost it, and whatever `Database.transaction` raises.
    """
    with database.transaction(reach) as session:
        _check_standing(session, actor)
        yield session


@contextmanager
def reading_by(database: Database, actor: Actor, reach: str | View) -> Iterator[Session]:
    """Opens a session for queries before a change that takes long: nothing is begun for a caller who lost standing.

    The change itself checks again, in its own transaction. Raises as `change_by` does.
    """
    with database.reading(reach) as session:
        _check_standing(session, actor)
        yield session


def _check_standing(session: Session, actor: Actor) -> None:
    if isinstance(actor, Principal):
        confirm(session, actor)
    elif not isinstance(actor, Operator):
        raise TypeError("an actor is a caller of the API or an operator")
