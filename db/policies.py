"""Queries on the limits of plans, tenants and keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, and_, delete, or_, select, true
from sqlalchemy.orm import Session

from db.reach import Reach, within
from db.tables import Key, PolicyRow, Tenant
from values.ids import uuid7
from values.instants import ms_of

Level = Literal["key", "tenant", "plan"]
Unit = Literal["requests", "rows"]
Period = Literal["day", "month"]

#: SQLite takes at most 32,766 parameters in one statement.
OWNERS_AT_ONCE = 10_000
#: The longest that a calendar period can be: a clock that is set back makes a day an hour longer, and a month too.
LONGEST: dict[Period, timedelta] = {"day": timedelta(days=1, hours=1), "month": timedelta(days=31, hours=1)}
_OWNERS = {"plan": PolicyRow.plan_id, "tenant": PolicyRow.tenant_id, "key": PolicyRow.key_id}


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `amount` requests or rows in any trailing window of `window_seconds`, or in each calendar day or month.

    Exactly one of `window_seconds` and `calendar` is set. With a `model` it counts what is asked of that model alone.
    `text` is the limit as somebody wrote it. `since` is the instant since when its holder has had a limit of this name,
    if its window may hold what was spent before.
    """

    level: Level
    unit: Unit
    amount: int
    window_seconds: int | None
    calendar: Period | None = None
    model: str | None = None
    text: str = ""
    since: datetime | None = None

    @property
    def name(self) -> str:
        """`LEVEL-UNIT-SECONDS` or `LEVEL-UNIT-calendar-PERIOD`, and `@MODEL` if it is for one model."""
        window = f"calendar-{self.calendar}" if self.window_seconds is None else self.window_seconds
        return f"{self.level}-{self.unit}-{window}" + (f"@{self.model}" if self.model else "")


def policies_that_bind(session: Session, *, plan_id: str, tenant_id: str, key_id: str | None) -> tuple[Policy, ...]:
    """Returns every policy of the key, of its tenant and of its tenant's plan."""
    return tuple(_policy(row) for row in _rows_that_bind(session, plan_id, tenant_id, key_id))


def policies_of_caller(session: Session, key: Key, tenant: Tenant, *, tenant_id: str) -> tuple[Policy, ...]:
    """Returns every policy of the key, of its tenant and of its tenant's plan, with `since` where something was before.

    Where the limit is as old as the key or the tenant whose spending it counts, nothing was.
    """
    rows = _rows_that_bind(session, tenant.plan_id, tenant_id, key.id)
    return tuple(_policy(row, _since(row, key, tenant)) for row in rows)


def _rows_that_bind(session: Session, plan_id: str, tenant_id: str, key_id: str | None) -> list[PolicyRow]:
    owned = or_(_owned_by("plan", plan_id), _owned_by("tenant", tenant_id), _owned_by("key", key_id))
    return list(session.scalars(select(PolicyRow).where(owned).order_by(PolicyRow.name)))


def _since(row: PolicyRow, key: Key, tenant: Tenant) -> datetime | None:
    since = max(row.since, tenant.plan_since or row.since) if row.plan_id else row.since
    longest = LONGEST[_period(row)] if row.calendar else timedelta(seconds=row.window_seconds or 0)
    if since <= (key.created_at if row.key_id else tenant.created_at) or datetime.now(UTC) - since >= longest:
        # Equal policies can be kept once for all callers.
        return None
    return since


def policies_of(session: Session, level: Level, owner_id: str, *, tenant_id: Reach) -> tuple[Policy, ...]:
    """Returns the owner's own policies."""
    return policies_of_each(session, level, [owner_id], tenant_id=tenant_id)[owner_id]


def policies_of_each(
    session: Session, level: Level, owner_ids: Sequence[str], *, tenant_id: Reach
) -> dict[str, tuple[Policy, ...]]:
    """Returns the own policies of each owner, as they were given, read in one query for `OWNERS_AT_ONCE` owners."""
    found: dict[str, list[Policy]] = {owner_id: [] for owner_id in owner_ids}
    column = _OWNERS[level]
    for start in range(0, len(owner_ids), OWNERS_AT_ONCE):
        owned = and_(column.in_(owner_ids[start : start + OWNERS_AT_ONCE]), _is_within(level, tenant_id))
        for row in session.scalars(select(PolicyRow).where(owned).order_by(PolicyRow.id)):
            found[getattr(row, column.key)].append(_policy(row))
    return {owner_id: tuple(policies) for owner_id, policies in found.items()}


def policies_in_force(session: Session, *, tenant_id: Reach) -> Iterator[tuple[Policy, str, str | None, str]]:
    """Yields each policy once for each tenant or key that it binds: with the tenant, the key, and the time zone."""
    columns = (PolicyRow, Tenant.id, PolicyRow.key_id, Tenant.time_zone)
    of_plans = select(*columns).join(Tenant, Tenant.plan_id == PolicyRow.plan_id)
    of_tenants = select(*columns).join(Tenant, Tenant.id == PolicyRow.tenant_id)
    of_keys = select(*columns).join(Key, Key.id == PolicyRow.key_id).join(Tenant, Tenant.id == Key.tenant_id)
    for query in (of_plans, of_tenants, of_keys.where(Key.revoked_at.is_(None))):
        living = query.where(Tenant.status != "erased", within(Tenant.id, tenant_id))
        for row, owner_id, key_id, time_zone in session.execute(living):
            yield _policy(row), owner_id, key_id, time_zone


def replace_policies(
    session: Session,
    level: Level,
    owner_id: str,
    unit: Unit,
    policies: Iterable[Policy],
    *,
    tenant_id: Reach,
    begun_at: datetime | None = None,
) -> None:
    """Gives the owner exactly these policies of that unit; those of the other unit stay.

    A policy whose name the owner had already keeps its `since`: what was spent on it stays spent. `begun_at` is the
    beginning of an owner who is made with these policies.
    """
    owned = and_(_owned_by(level, owner_id), _is_within(level, tenant_id), PolicyRow.unit == unit)
    since = {name: at for name, at in session.execute(select(PolicyRow.name, PolicyRow.since).where(owned))}  # noqa: C416  dict() of rows has no type
    session.execute(delete(PolicyRow).where(owned))
    now = datetime.now(UTC)
    for place, policy in enumerate(policies):
        row = PolicyRow(
            # Ids sort by their milliseconds: limits are shown in the order in which they were given.
            id=uuid7(ms_of(now) + place),
            name=policy.name,
            unit=policy.unit,
            amount=policy.amount,
            window_seconds=policy.window_seconds,
            calendar=policy.calendar,
            model=policy.model,
            text=policy.text,
            since=since.get(policy.name, begun_at or now),
        )
        setattr(row, f"{level}_id", owner_id)
        session.add(row)


def _owned_by(level: Level, owner_id: str | None) -> ColumnElement[bool]:
    # A NULL owner must match nothing, not the rows of other levels, whose column is NULL too.
    return and_(_OWNERS[level].is_not(None), _OWNERS[level] == owner_id)


def _is_within(level: Level, tenant_id: Reach) -> ColumnElement[bool]:
    """The condition that a policy lies within the reach: a plan's always does, a key's does where its tenant does."""
    if level == "plan":
        return true()
    if level == "tenant":
        return within(PolicyRow.tenant_id, tenant_id)
    return PolicyRow.key_id.in_(select(Key.id).where(within(Key.tenant_id, tenant_id)))


def _policy(row: PolicyRow, since: datetime | None = None) -> Policy:
    level: Level = "plan" if row.plan_id else "tenant" if row.tenant_id else "key"
    unit: Unit = "rows" if row.unit == "rows" else "requests"
    calendar = _period(row) if row.calendar else None
    return Policy(level, unit, row.amount, row.window_seconds, calendar, row.model, row.text, since)


def _period(row: PolicyRow) -> Period:
    return "month" if row.calendar == "month" else "day"
