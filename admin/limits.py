"""Limits of a plan, a tenant or a key, as administrators ask for them in words."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from admin.facts import InvalidValue
from db.policies import Level, Policy, Unit, policies_of, policies_that_bind, replace_policies
from db.reach import Reach
from db.tables import Key, Tenant
from quotas.policies import InvalidLimit, parse_limits


class Limits(NamedTuple):
    """Limits of requests and of rows; None leaves a unit's as they are, an empty list clears them."""

    requests: Sequence[str] | None = None
    rows: Sequence[str] | None = None


AS_THEY_ARE = Limits()


def set_limits(session: Session, level: Level, owner_id: str, limits: Limits, *, tenant_id: Reach) -> dict[str, Any]:
    """Gives the owner these limits and returns the changes. Raises `InvalidValue`."""
    changed: dict[str, Any] = {}
    wanted: list[tuple[Unit, Sequence[str] | None]] = [("requests", limits.requests), ("rows", limits.rows)]
    for unit, texts in wanted:
        if texts is None:
            continue
        try:
            policies = parse_limits(list(texts), level, unit)
        except InvalidLimit as error:
            raise InvalidValue(str(error)) from None
        replace_policies(session, level, owner_id, unit, policies, tenant_id=tenant_id)
        changed[unit] = list(texts)
    return changed


def check_within_tenant(session: Session, key: Key, tenant: Tenant, units: Container[str]) -> None:
    """Raises `InvalidValue` if a limit of the key allows more than its tenant can do in the same time.

    Checks limits on these units alone: after the tenant's limits were lowered, the key's other terms can be changed.
    """
    session.flush()
    bounds = policies_that_bind(session, plan_id=tenant.plan_id, tenant_id=tenant.id, key_id=None)
    for policy in policies_of(session, "key", key.id, tenant_id=tenant.id):
        if policy.unit in units and policy.amount > most_allowed(bounds, policy.unit, policy.window_seconds):
            raise InvalidValue(f"{policy.amount} {policy.unit} in {policy.window_seconds} s exceed the tenant's limits")


def most_allowed(bounds: Iterable[Policy], unit: Unit, window_seconds: int) -> float:
    """Returns the most that these limits can admit in a window of that length."""
    most = [each.amount * -(-window_seconds // each.window_seconds) for each in bounds if each.unit == unit]
    return min(most, default=float("inf"))
