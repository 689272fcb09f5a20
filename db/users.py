"""Queries on people and on their failures to sign in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.reach import Reach, within
from db.tables import Event, SignInFailures, Tenant, User
from values.ids import is_uuid7

#: Older failures do not count.
FAILURES_LAST = timedelta(days=1)


class UserStanding(NamedTuple):
    """The facts by which a person's tokens are accepted or not."""

    status: str
    generation: int


def find_user(session: Session, user_id: str, *, tenant_id: Reach) -> tuple[User, Tenant | None] | None:
    """Returns the person of that id, and their tenant if they belong to one."""
    if not is_uuid7(user_id):
        return None
    query = select(User, Tenant).outerjoin(Tenant, Tenant.id == User.tenant_id)
    found = session.execute(query.where(User.id == user_id, within(User.tenant_id, tenant_id))).first()
    return None if found is None else (found[0], found[1])


def find_user_by_email(session: Session, email: str, *, tenant_id: Reach) -> User | None:
    """Returns the person of that address, which is compared in lower case."""
    if "\0" in email:
        # PostgreSQL refuses a NUL in any text, also in one to look for.
        return None
    return session.scalar(select(User).where(User.email == email.lower(), within(User.tenant_id, tenant_id)))


def hold_user(session: Session, user_id: str, *, tenant_id: Reach, is_exclusive: bool = False) -> UserStanding | None:
    """Returns the person's standing now; on PostgreSQL other transactions cannot change it until this one ends.

    With `is_exclusive` the call also waits for transactions that hold the person.
    """
    query = select(User.status, User.generation).where(User.id == user_id, within(User.tenant_id, tenant_id))
    found = session.execute(query.with_for_update(read=not is_exclusive, key_share=is_exclusive)).first()
    return None if found is None else UserStanding(*found)


def page_of_users(session: Session, cut: Cut, *, tenant_id: Reach) -> Page:
    """Returns a page of people by e-mail address, each with their tenant or None."""
    query = select(User, Tenant).outerjoin(Tenant, Tenant.id == User.tenant_id).where(within(User.tenant_id, tenant_id))
    return read_page(session, query, User.email, cut)


def delete_users(session: Session, *, tenant_id: str) -> list[str]:
    """Deletes the tenant's people; returns their ids."""
    return list(session.scalars(delete(User).where(User.tenant_id == tenant_id).returning(User.id)))


def living_users_made_by(session: Session, actor: str, *, tenant_id: Reach) -> list[str]:
    """Returns the addresses of active people whom this actor made."""
    made = select(Event.object_id).where(Event.actor == actor, Event.verb == "user.create")
    ids = list(session.scalars(made))
    query = select(User.email).where(User.id.in_(ids), User.status == "active", within(User.tenant_id, tenant_id))
    return list(session.scalars(query.order_by(User.email)))


def note_sign_in(session: Session, user_id: str, signed_in_at: datetime, *, tenant_id: Reach) -> None:
    """Writes a person's last sign-in; their revision stays, since no administrator's change can be lost to it."""
    user = update(User).where(User.id == user_id, within(User.tenant_id, tenant_id))
    session.execute(user.values(last_sign_in_at=signed_in_at))


def failures_at(session: Session, counters: Sequence[str], now: datetime) -> Sequence[SignInFailures]:
    """Returns the failures in a row that are remembered under these counters."""
    is_recent = SignInFailures.last_at > now - FAILURES_LAST
    return session.scalars(select(SignInFailures).where(SignInFailures.counter.in_(counters), is_recent)).all()


def add_failures(session: Session, failures: Sequence[SignInFailures], now: datetime) -> dict[str, int]:
    """Adds failures to their counters and deletes old ones; returns the number under each counter by now."""
    old = select(SignInFailures.counter).where(SignInFailures.last_at <= now - FAILURES_LAST)
    session.execute(delete(SignInFailures).where(SignInFailures.counter.in_(old.with_for_update(skip_locked=True))))
    if not failures:
        return {}
    # Two processes that add at once must both be counted, in one order: else each could wait for the other.
    rows = [{"counter": each.counter, "count": each.count, "last_at": each.last_at} for each in failures]
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    first = insert(SignInFailures).values(sorted(rows, key=itemgetter("counter")))
    more = {"count": SignInFailures.count + first.excluded.count, "last_at": first.excluded.last_at}
    upsert = first.on_conflict_do_update(index_elements=[SignInFailures.counter], set_=more)
    added = session.execute(upsert.returning(SignInFailures.counter, SignInFailures.count.label("failures")))
    return {row.counter: row.failures for row in added}


def forget_failures(session: Session, counters: Collection[str]) -> None:
    is_one = SignInFailures.counter.in_(counters)
    # In the order in which `add_failures` of another process takes them: else each could wait for the other.
    session.execute(select(SignInFailures.counter).where(is_one).order_by(SignInFailures.counter).with_for_update())
    session.execute(delete(SignInFailures).where(is_one))
