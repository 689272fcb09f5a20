"""Changes to tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import delete
from sqlalchemy.orm import Session

from admin.facts import NameTaken, NotFound, WrongState, checked_name
from admin.limits import AS_THEY_ARE, Limits, set_limits
from admin.plans import named_plan
from admin.revisions import check_revision, revise
from admin.shown import shown_tenant
from audit.events import record_event
from auth.keyring import Keyring
from db.changes import announce
from db.database import Database
from db.keys import delete_keys
from db.plans import DEFAULT_PLAN
from db.prediction_log import erase_contents
from db.reach import EVERY_TENANT, Reach
from db.tables import Grant, Tenant
from db.tenants import find_tenant, plan_of
from db.users import delete_users
from db.wrapped_secrets import destroy_wrapped
from values.ids import uuid7

#: Records erased in one transaction: the log's writer waits for no more than these.
ERASED_AT_ONCE = 1000


def create_tenant(
    database: Database, keyring: Keyring, *, actor: str, name: str, plan: str = DEFAULT_PLAN,
    limits: Limits = AS_THEY_ARE,
) -> Tenant:  # fmt: skip
    """Makes a tenant on a plan, with the key of its fingerprints. Raises `InvalidValue`, `NameTaken` or `NotFound`."""
    checked_name(name)
    with database.transaction(EVERY_TENANT) as session:
        if find_tenant(session, name, tenant_id=EVERY_TENANT) is not None:
            raise NameTaken(f"there is a tenant {name} already")
        on = named_plan(session, plan)
        tenant = Tenant(id=uuid7(), name=name, plan_id=on.id, status="active", created_at=datetime.now(UTC))
        session.add(tenant)
        session.flush()
        keyring.make_fingerprint_key(session, tenant_id=tenant.id)
        changed = set_limits(session, "tenant", tenant.id, limits, tenant_id=tenant.id)
        _announce(session, actor, "tenant.create", tenant, plan=plan, **changed)
    return tenant


def set_tenant(
    database: Database, *, actor: str, name: str, plan: str | None = None, limits: Limits = AS_THEY_ARE,
    revision: int | None = None,
) -> Tenant:  # fmt: skip
    """Puts a tenant on another plan, or changes its own limits; what is None stays.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with database.transaction(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        if tenant.status == "erased":
            raise WrongState(f"the tenant {name} is erased")
        revise(tenant, revision)
        changed: dict[str, Any] = {}
        if plan is not None:
            tenant.plan_id, changed["plan"] = named_plan(session, plan).id, plan
        changed |= set_limits(session, "tenant", tenant.id, limits, tenant_id=tenant.id)
        _announce(session, actor, "tenant.set", tenant, **changed)
    return tenant


def suspend_tenant(database: Database, *, actor: str, name: str, revision: int | None = None) -> Tenant:
    """Shuts a tenant's keys and people out until it is resumed.

    Raises `NotFound`, `WrongState` or `ChangedMeanwhile`.
    """
    return _change_status(database, actor, name, "suspend", "active", "suspended", revision)


def resume_tenant(database: Database, *, actor: str, name: str, revision: int | None = None) -> Tenant:
    """Lets a suspended tenant's keys and people in again. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    return _change_status(database, actor, name, "resume", "suspended", "active", revision)


def erase_tenant(database: Database, *, actor: str, name: str, revision: int | None = None) -> int:
    """Ends a tenant for good: its keys, its people, its fingerprint key, and what its records say in values.

    What remains is that there was a tenant of that name, and its records' seals, which still verify. Returns the
    number of records that were erased. Requests under way when it was called may still be recorded: what they leave
    is erased by any running server, or by calling it again. Raises `NotFound` or
    `ChangedMeanwhile`.
    """
    with database.transaction(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        check_revision(tenant, revision)
        _end(session, actor, tenant)
    return erase_records(database, tenant.id, since=None)


def erase_records(database: Database, tenant_id: str, *, since: datetime | None) -> int:
    """Erases what a tenant's records from `since` on say in values, some at a time; returns how many there were."""
    erased = 0
    while True:
        with database.transaction(tenant_id) as session:
            some = erase_contents(session, tenant_id=tenant_id, since=since, limit=ERASED_AT_ONCE)
        erased += some
        if some < ERASED_AT_ONCE:
            return erased


def describe_tenant(database: Database, name: str) -> dict[str, Any]:
    """The tenant as administrators see it. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        return shown_tenant(session, tenant, plan_of(session, tenant))


def named_tenant(session: Session, name: str, *, tenant_id: Reach, is_held: bool = False) -> Tenant:
    """The tenant of that name, within that reach. Raises `NotFound`."""
    tenant = find_tenant(session, name, tenant_id=tenant_id, is_held=is_held)
    if tenant is None:
        raise NotFound("there is no such tenant")
    return tenant


def living_tenant(session: Session, name: str, *, tenant_id: Reach) -> Tenant:
    """The tenant of that name, to be given something: it is not erased, nor will be before this transaction ends.

    Raises `NotFound` or `WrongState`.
    """
    tenant = named_tenant(session, name, tenant_id=tenant_id, is_held=True)
    if tenant.status == "erased":
        raise WrongState(f"the tenant {name} is erased")
    return tenant


def _change_status(
    database: Database, actor: str, name: str, verb: str, from_status: str, to: Literal["active", "suspended"],
    revision: int | None,
) -> Tenant:  # fmt: skip
    with database.transaction(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        if tenant.status != from_status:
            raise WrongState(f"the tenant {name} is {tenant.status}")
        revise(tenant, revision)
        tenant.status = to
        _announce(session, actor, f"tenant.{verb}", tenant)
    return tenant


def _end(session: Session, actor: str, tenant: Tenant) -> None:
    is_first = tenant.status != "erased"
    if is_first:
        tenant.status, tenant.erased_at = "erased", datetime.now(UTC)
        revise(tenant, None)
        # Waits for whoever is giving it something, so that it is deleted too.
        session.flush()
    set_limits(session, "tenant", tenant.id, Limits([], []), tenant_id=tenant.id)
    keys = delete_keys(session, tenant_id=tenant.id)
    users = delete_users(session, tenant_id=tenant.id)
    grants = session.scalars(delete(Grant).where(Grant.tenant_id == tenant.id).returning(Grant.model_id)).all()
    destroy_wrapped(session, tenant_id=tenant.id)
    if is_first or keys or users or grants:
        announce(session, "models", tenant.id)
        _announce(session, actor, "tenant.erase", tenant, keys=keys, users=len(users))


def _announce(session: Session, actor: str, verb: str, tenant: Tenant, **details: object) -> None:
    record_event(session, actor=actor, verb=verb, object_id=tenant.id, tenant_id=tenant.id, name=tenant.name, **details)
    announce(session, "tenant", tenant.id)
