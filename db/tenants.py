"""Queries on tenants."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.reach import Reach, within
from db.tables import Plan, Tenant


def find_tenant(session: Session, name: str, *, tenant_id: Reach, is_held: bool = False) -> Tenant | None:
    """The tenant of that name; where it is held, nobody changes it until this transaction ends."""
    query = select(Tenant).where(Tenant.name == name, within(Tenant.id, tenant_id))
    # On SQLite every transaction that changes something is alone.
    return session.scalar(query.with_for_update(read=True) if is_held else query)


def page_of_tenants(session: Session, cut: Cut, *, tenant_id: Reach) -> Page:
    """Tenants, each with its plan, by name."""
    query = select(Tenant, Plan).join(Plan, Plan.id == Tenant.plan_id).where(within(Tenant.id, tenant_id))
    return read_page(session, query, Tenant.name, cut)


def plan_of(session: Session, tenant: Tenant) -> Plan:
    return session.scalars(select(Plan).where(Plan.id == tenant.plan_id)).one()


def erased_since(session: Session, instant: datetime, *, tenant_id: Reach) -> list[Tenant]:
    """Tenants that were erased after that instant."""
    return list(session.scalars(select(Tenant).where(Tenant.erased_at > instant, within(Tenant.id, tenant_id))))
