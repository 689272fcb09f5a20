"""Queries on tenants."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Plan, Tenant


def find_tenant(session: Session, name: str) -> Tenant | None:
    return session.scalar(select(Tenant).where(Tenant.name == name))


def all_tenants(session: Session) -> list[tuple[Tenant, Plan]]:
    query = select(Tenant, Plan).join(Plan, Plan.id == Tenant.plan_id).order_by(Tenant.name)
    return [(tenant, plan) for tenant, plan in session.execute(query)]


def plan_of(session: Session, tenant: Tenant) -> Plan:
    return session.scalars(select(Plan).where(Plan.id == tenant.plan_id)).one()
