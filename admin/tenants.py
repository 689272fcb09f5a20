"""Changes to tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import delete
from sqlalchemy.orm import Session

from admin.changes import Actor, change_by
from admin.facts import NameTaken, NotFound, WrongState, checked_name, checked_time_zone
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
from db.tenants import DEFAULT_TIME_ZONE, find_tenant, plan_of
from db.users import delete_users
from db.wrapped_secrets import destroy_wrapped
from values.ids import uuid7

#: Records erased in one transaction: the log's writer waits for no more than these.
ERASED_AT_ONCE = 1000


def create_tenant(
    database: Database,
    keyring: Keyring,
    *,
    actor: Actor,
    name: str,
    plan: str = DEFAULT_PLAN,
    limits: Limits = AS_THEY_ARE,
    time_zone: str = DEFAULT_TIME_ZONE,
) -> dict[str, Any]:
    """Makes a tenant on a plan, with the key of its fingerprints, and returns it as it is shown.

    Raises `InvalidValue`, `NameTaken` or `NotFound`.
    """
    checked_name(name)
    with change_by(database, actor, EVERY_TENANT) as session:
        if find_tenant(session, name, tenant_id=EVERY_TENANT) is not None:
            raise NameTaken(f"a tenant {name} exists already")
        on = named_plan(session, plan)
        tenant = Tenant(id=uuid7(), name=name, plan_id=on.id, status="active", created_at=datetime.now(UTC))
        tenant.time_zone = checked_time_zone(time_zone)
        session.add(tenant)
        session.flush()
        keyring.make_fingerprint_key(session, tenant_id=tenant.id)
        begun_at = tenant.created_at
        changed = set_limits(session, "tenant", tenant.id, limits, tenant_id=tenant.id, begun_at=begun_at)
        _announce(session, actor, "tenant.create", tenant, plan=plan, time_zone=time_zone, **changed)
        return shown_tenant(session, tenant, on)


def set_tenant(
    database: Database,
    *,
    actor: Actor,
    name: str,
    plan: str | None = None,
    limits: Limits = AS_THEY_ARE,
    time_zone: str | None = None,
    revision: int | None = None,
) -> dict[str, Any]:
    """Changes a tenant's plan, its own limits or its time zone, and returns it as it is shown; what is None stays.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        if tenant.status == "erased":
            raise WrongState(f"the tenant {name} is erased")
        check_revision(tenant, revision)
        on = plan_of(session, tenant) if plan is None else named_plan(session, plan)
        revise(tenant, revision)
        if tenant.plan_id != on.id:
            tenant.plan_id, tenant.plan_since = on.id, datetime.now(UTC)
        changed: dict[str, Any] = {} if plan is None else {"plan": plan}
        if time_zone is not None:
            tenant.time_zone = changed["time_zone"] = checked_time_zone(time_zone)
        changed |= set_limits(session, "tenant", tenant.id, limits, tenant_id=tenant.id)
        _announce(session, actor, "tenant.set", tenant, **changed)
        return shown_tenant(session, tenant, on)


def suspend_tenant(database: Database, *, actor: Actor, name: str, revision: int | None = None) -> dict[str, Any]:
    """Shuts a tenant's keys and people out until it is resumed, and returns it as it is shown.

    Raises `NotFound`, `WrongState` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        return _move(session, actor, name, ("active", "suspended"), revision)


def resume_tenant(database: Database, *, actor: Actor, name: str, revision: int | None = None) -> dict[str, Any]:
    """Lets a suspended tenant's keys and people in again, and returns the tenant as it is shown.

    Raises `NotFound`, `WrongState` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        return _move(session, actor, name, ("suspended", "active"), revision)


def erase_tenant(database: Database, *, actor: Actor, name: str, revision: int | None = None) -> dict[str, Any]:
    """Ends a tenant for good: its keys, its people, its fingerprint key, and the values in its records.

    The tenant's name and its records' seals remain, and the seals still verify. Returns the tenant as it is shown, with
    `records_erased`. Requests under way at the call may still be recorded: any running server erases those records, and
    so does a second call. Raises `NotFound` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        check_revision(tenant, revision)
        _end(session, actor, tenant)
        shown = shown_tenant(session, tenant, plan_of(session, tenant))
    return shown | {"records_erased": erase_records(database, tenant.id, since=None)}


def erase_records(database: Database, tenant_id: str, *, since: datetime | None) -> int:
    """Erases the values in a tenant's records from `since` on, several at a time; returns the number of records."""
    erased = 0
    while True:
        with database.transaction(tenant_id) as session:
            some = erase_contents(session, tenant_id=tenant_id, since=since, limit=ERASED_AT_ONCE)
        erased += some
        if some < ERASED_AT_ONCE:
            return erased


def describe_tenant(database: Database, name: str) -> dict[str, Any]:
    """Returns the tenant as administrators see it. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        return shown_tenant(session, tenant, plan_of(session, tenant))


def named_tenant(session: Session, name: str, *, tenant_id: Reach, is_held: bool = False) -> Tenant:
    """Returns the tenant of that name, within that reach. Raises `NotFound`."""
    tenant = find_tenant(session, name, tenant_id=tenant_id, is_held=is_held)
    if tenant is None:
        raise NotFound("the tenant does not exist")
    return tenant


def living_tenant(session: Session, name: str, *, tenant_id: Reach) -> Tenant:
    """Returns the tenant of that name, to be given more: no other transaction erases it before this one ends.

    Raises `NotFound` or `WrongState`.
    """
    tenant = named_tenant(session, name, tenant_id=tenant_id, is_held=True)
    if tenant.status == "erased":
        raise WrongState(f"the tenant {name} is erased")
    return tenant


Status = Literal["active", "suspended"]


def _move(
    session: Session, actor: Actor, name: str, from_to: tuple[Status, Status], revision: int | None
) -> dict[str, Any]:
    tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
    if tenant.status != from_to[0]:
        raise WrongState(f"the tenant {name} is {tenant.status}")
    revise(tenant, revision)
    tenant.status = from_to[1]
    _announce(session, actor, "tenant.suspend" if tenant.status == "suspended" else "tenant.resume", tenant)
    return shown_tenant(session, tenant, plan_of(session, tenant))


def _end(session: Session, actor: Actor, tenant: Tenant) -> None:
    is_first = tenant.status != "erased"
    if is_first:
        tenant.status, tenant.erased_at = "erased", datetime.now(UTC)
        revise(tenant, None)
        # Waits for transactions that give the tenant something, so that their keys and people are deleted too.
        session.flush()
    set_limits(session, "tenant", tenant.id, Limits([], []), tenant_id=tenant.id)
    keys = delete_keys(session, tenant_id=tenant.id)
    users = delete_users(session, tenant_id=tenant.id)
    grants = session.scalars(delete(Grant).where(Grant.tenant_id == tenant.id).returning(Grant.model_id)).all()
    destroy_wrapped(session, tenant_id=tenant.id)
    if is_first or keys or users or grants:
        announce(session, "models", tenant.id)
        _announce(session, actor, "tenant.erase", tenant, keys=keys, users=len(users))


def _announce(session: Session, actor: Actor, verb: str, tenant: Tenant, **details: object) -> None:
    record_event(
        session,
        actor=actor.subject,
        verb=verb,
        object_id=tenant.id,
        tenant_id=tenant.id,
        name=tenant.name,
        **details,
    )
    announce(session, "tenant", tenant.id)
