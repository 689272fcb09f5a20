"""Changes to tenants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.orm import Session

from admin.facts import NameTaken, NotFound, WrongState, checked_name
from admin.limits import set_limits
from auth.keyring import Keyring
from db.changes import announce
from db.database import Database
from db.events import record_event
from db.ids import uuid7
from db.plans import find_plan
from db.tables import Plan, Tenant
from db.tenants import find_tenant

DEFAULT_PLAN = "default"


def create_tenant(
    database: Database,
    keyring: Keyring,
    *,
    actor: str,
    name: str,
    plan: str = DEFAULT_PLAN,
    requests: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
) -> Tenant:
    """Makes a tenant on a plan, with the key of its fingerprints. Raises `InvalidValue`, `NameTaken` or `NotFound`."""
    checked_name(name)
    with database.transaction() as session:
        if find_tenant(session, name) is not None:
            raise NameTaken(f"there is a tenant {name} already")
        on = named_plan(session, plan)
        tenant = Tenant(id=uuid7(), name=name, plan_id=on.id, status="active", created_at=datetime.now(UTC))
        session.add(tenant)
        session.flush()
        keyring.make_fingerprint_key(session, tenant_id=tenant.id)
        changed = set_limits(session, "tenant", tenant.id, requests=requests, rows=rows)
        _announce(session, actor, "tenant.create", tenant, plan=plan, **changed)
    return tenant


def set_tenant(
    database: Database,
    *,
    actor: str,
    name: str,
    plan: str | None = None,
    requests: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
) -> Tenant:
    """Puts a tenant on another plan, or changes its own limits; what is None stays. Raises `NotFound`."""
    with database.transaction() as session:
        tenant = named_tenant(session, name)
        if plan is not None:
            tenant.plan_id = named_plan(session, plan).id
        changed = set_limits(session, "tenant", tenant.id, requests=requests, rows=rows)
        _announce(session, actor, "tenant.set", tenant, plan=plan, **changed)
    return tenant


def suspend_tenant(database: Database, *, actor: str, name: str) -> Tenant:
    """Shuts a tenant's keys out until it is resumed. Raises `NotFound` or `WrongState`."""
    return _change_status(database, actor, name, "suspend", "active", "suspended")


def resume_tenant(database: Database, *, actor: str, name: str) -> Tenant:
    """Lets a suspended tenant's keys in again. Raises `NotFound` or `WrongState`."""
    return _change_status(database, actor, name, "resume", "suspended", "active")


def named_tenant(session: Session, name: str) -> Tenant:
    """The tenant of that name. Raises `NotFound`."""
    tenant = find_tenant(session, name)
    if tenant is None:
        raise NotFound(f"there is no tenant {name}")
    return tenant


def named_plan(session: Session, name: str) -> Plan:
    """The plan of that name. Raises `NotFound`."""
    plan = find_plan(session, name)
    if plan is None:
        raise NotFound(f"there is no plan {name}")
    return plan


def _change_status(
    database: Database, actor: str, name: str, verb: str, from_status: str, to: Literal["active", "suspended"]
) -> Tenant:
    with database.transaction() as session:
        tenant = named_tenant(session, name)
        if tenant.status != from_status:
            raise WrongState(f"the tenant {name} is {tenant.status}")
        tenant.status = to
        _announce(session, actor, f"tenant.{verb}", tenant)
    return tenant


def _announce(session: Session, actor: str, verb: str, tenant: Tenant, **details: object) -> None:
    record_event(session, actor=actor, verb=verb, object_id=tenant.id, tenant_id=tenant.id, name=tenant.name, **details)
    announce(session, "tenant", tenant.id)
