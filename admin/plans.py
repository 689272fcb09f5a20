"""Changes to plans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from admin.changes import Actor, change_by
from admin.facts import InvalidValue, NotFound, checked_name
from admin.limits import AS_THEY_ARE, Limits, set_limits
from admin.revisions import revise
from admin.shown import shown_plan
from audit.events import record_event
from db.changes import announce
from db.database import ChangedMeanwhile, Database
from db.plans import find_plan
from db.reach import EVERY_TENANT, NO_TENANT
from db.tables import Plan
from values.ids import uuid7

MAX_CONCURRENCY = 1_000_000


def set_plan(
    database: Database,
    *,
    actor: Actor,
    name: str,
    limits: Limits = AS_THEY_ARE,
    concurrency: int | None = None,
    revision: int | None = None,
    must_exist: bool = False,
) -> dict[str, Any]:
    """Makes the plan or changes it, and returns it as it is shown; a term that is None stays.

    Raises `InvalidValue` or `ChangedMeanwhile`, and with `must_exist` `NotFound` instead of making the plan.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        plan = named_plan(session, name) if must_exist else find_plan(session, name)
        if plan is None:
            plan = _new_plan(session, name, revision)
        else:
            revise(plan, revision)
        changed: dict[str, Any] = {}
        if concurrency is not None:
            plan.concurrency = changed["concurrency"] = _checked_concurrency(concurrency)
        session.flush()
        changed |= set_limits(session, "plan", plan.id, limits, tenant_id=EVERY_TENANT)
        record_event(session, actor=actor.subject, verb="plan.set", object_id=plan.id, name=plan.name, **changed)
        announce(session, "plan", plan.id)
        return shown_plan(session, plan)


def describe_plan(database: Database, name: str) -> dict[str, Any]:
    """Returns the plan as administrators see it. Raises `NotFound`."""
    with database.reading(NO_TENANT) as session:
        return shown_plan(session, named_plan(session, name))


def named_plan(session: Session, name: str) -> Plan:
    """Returns the plan of that name. Raises `NotFound`."""
    plan = find_plan(session, name)
    if plan is None:
        raise NotFound("the plan does not exist")
    return plan


def _new_plan(session: Session, name: str, revision: int | None) -> Plan:
    checked_name(name)
    if revision is not None:
        raise ChangedMeanwhile(f"the plan {name} does not exist, at any revision")
    plan = Plan(id=uuid7(), name=name, concurrency=None, created_at=datetime.now(UTC))
    session.add(plan)
    return plan


def _checked_concurrency(concurrency: int) -> int:
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InvalidValue(f"concurrency is 1 to {MAX_CONCURRENCY}")
    return concurrency
