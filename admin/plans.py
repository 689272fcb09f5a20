"""Changes to plans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

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
    database: Database, *, actor: str, name: str, limits: Limits = AS_THEY_ARE, concurrency: int | None = None,
    revision: int | None = None,
) -> Plan:  # fmt: skip
    """Makes the plan or changes it; what is None stays as it is. Raises `InvalidValue` or `ChangedMeanwhile`."""
    checked_name(name)
    if concurrency is not None and not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InvalidValue(f"concurrency is 1 to {MAX_CONCURRENCY}")
    with database.transaction(EVERY_TENANT) as session:
        plan = find_plan(session, name)
        if plan is None:
            if revision is not None:
                raise ChangedMeanwhile(f"there is no plan {name}, at no revision")
            plan = Plan(id=uuid7(), name=name, concurrency=None, created_at=datetime.now(UTC))
            session.add(plan)
        else:
            revise(plan, revision)
        changed: dict[str, Any] = {}
        if concurrency is not None:
            plan.concurrency = changed["concurrency"] = concurrency
        session.flush()
        changed |= set_limits(session, "plan", plan.id, limits, tenant_id=EVERY_TENANT)
        record_event(session, actor=actor, verb="plan.set", object_id=plan.id, name=name, **changed)
        announce(session, "plan", plan.id)
    return plan


def describe_plan(database: Database, name: str) -> dict[str, Any]:
    """The plan as administrators see it. Raises `NotFound`."""
    with database.reading(NO_TENANT) as session:
        return shown_plan(session, named_plan(session, name))


def named_plan(session: Session, name: str) -> Plan:
    """The plan of that name. Raises `NotFound`."""
    plan = find_plan(session, name)
    if plan is None:
        raise NotFound("there is no such plan")
    return plan
