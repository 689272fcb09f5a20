"""Queries on tenants."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.reach import Reach, within
from db.tables import Plan, Tenant

#: The time zone of tenants that were given no other, and of people who have no tenant.
DEFAULT_TIME_ZONE = "UTC"


def find_tenant(session: Session, name: str, *, tenant_id: Reach, is_held: bool = False) -> Tenant | None:
    """Returns the tenant of that name; with `is_held` no other transaction changes it until this one ends."""
    query = select(Tenant).where(Tenant.name == name, within(Tenant.id, tenant_id))
    # SQLite ignores this, and has one writer at a time.
    return session.scalar(query.with_for_update(read=True) if is_held else query)


def hold_tenant(session: Session, *, tenant_id: str) -> str | None:
    """Returns the tenant's status now; on PostgreSQL other transactions cannot change it until this one ends."""
    return session.scalar(select(Tenant.status).where(Tenant.id == tenant_id).with_for_update(read=True))


def page_of_tenants(session: Session, cut: Cut, *, tenant_id: Reach) -> Page:
    """Returns a page of tenants by name, each with its plan."""
    query = select(Tenant, Plan).join(Plan, Plan.id == Tenant.plan_id).where(within(Tenant.id, tenant_id))
    return read_page(session, query, Tenant.name, cut)


def plan_of(session: Session, tenant: Tenant) -> Plan:
    return session.scalars(select(Plan).where(Plan.id == tenant.plan_id)).one()


def erased_since(session: Session, instant: datetime, *, tenant_id: Reach) -> list[Tenant]:
    """Returns the tenants that were erased after that instant."""
    return list(session.scalars(select(Tenant).where(Tenant.erased_at > instant, within(Tenant.id, tenant_id))))
