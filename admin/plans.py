"""Changes to plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from admin.facts import InvalidValue, checked_name
from admin.limits import set_limits
from db.changes import announce
from db.database import Database
from db.events import record_event
from db.ids import uuid7
from db.plans import find_plan
from db.tables import Plan


def set_plan(
    database: Database,
    *,
    actor: str,
    name: str,
    requests: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    concurrency: int | None = None,
) -> Plan:
    """Makes the plan or changes it; what is None stays as it is. Raises `InvalidValue`."""
    checked_name(name)
    if concurrency is not None and concurrency < 1:
        raise InvalidValue("concurrency is at least 1")
    with database.transaction() as session:
        plan = find_plan(session, name)
        if plan is None:
            plan = Plan(id=uuid7(), name=name, concurrency=None, created_at=datetime.now(UTC))
            session.add(plan)
        if concurrency is not None:
            plan.concurrency = concurrency
        session.flush()
        changed = set_limits(session, "plan", plan.id, requests=requests, rows=rows)
        record_event(
            session, actor=actor, verb="plan.set", object_id=plan.id, name=name, concurrency=plan.concurrency, **changed
        )
        announce(session, "plan", plan.id)
    return plan
