"""Queries on the random keys that are kept encrypted under SECRET."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.reach import Reach, within
from db.tables import WrappedSecret


def wrapped_of(session: Session, purpose: str) -> list[WrappedSecret]:
    """Returns every wrapped secret for that purpose that belongs to no tenant, the oldest number first."""
    query = select(WrappedSecret).where(WrappedSecret.purpose == purpose, WrappedSecret.tenant_id.is_(None))
    return list(session.scalars(query.order_by(WrappedSecret.number)))


def retirement_of(session: Session, purpose: str, number: int) -> tuple[datetime | None] | None:
    """Returns the instant at which a secret of no tenant retires, in a tuple; None if the secret does not exist."""
    query = select(WrappedSecret.retired_at).where(WrappedSecret.purpose == purpose, WrappedSecret.number == number)
    found = session.execute(query.where(WrappedSecret.tenant_id.is_(None))).first()
    return None if found is None else (found[0],)


def wrapped_of_tenant(session: Session, purpose: str, *, tenant_id: str) -> WrappedSecret | None:
    """Returns the newest wrapped secret of a tenant for that purpose, or None once it was destroyed."""
    query = select(WrappedSecret).where(WrappedSecret.purpose == purpose, WrappedSecret.tenant_id == tenant_id)
    return session.scalars(query.order_by(WrappedSecret.number.desc())).first()


def all_wrapped(session: Session, *, tenant_id: Reach) -> list[WrappedSecret]:
    return list(session.scalars(select(WrappedSecret).where(within(WrappedSecret.tenant_id, tenant_id))))


def destroy_wrapped(session: Session, *, tenant_id: str) -> None:
    """Destroys every wrapped secret of a tenant; fingerprints made with them identify nothing any more."""
    session.execute(delete(WrappedSecret).where(WrappedSecret.tenant_id == tenant_id))


def next_number(session: Session, purpose: str) -> int:
    return (session.scalar(select(func.max(WrappedSecret.number)).where(WrappedSecret.purpose == purpose)) or 0) + 1
