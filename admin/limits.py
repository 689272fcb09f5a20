"""Limits of a plan, a tenant or a key, as administrators ask for them in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from admin.facts import InvalidValue
from db.catalogue import known_models
from db.policies import Level, Policy, Unit, policies_of, policies_that_bind, replace_policies
from db.reach import Reach
from db.tables import Key, Tenant
from quotas.policies import InvalidLimit, parse_limits

_DAY = 86_400
#: The lengths of calendar periods for comparing limits: a key's counts as its shortest, a tenant's as its longest. The
#: hour that a day gains or loses once a year counts for nothing.
_SHORTEST = {"day": _DAY, "month": 28 * _DAY}
_LONGEST = {"day": _DAY, "month": 31 * _DAY}


class Limits(NamedTuple):
    """Limits of requests and of rows; None leaves a unit's as they are, an empty list clears them."""

    requests: Sequence[str] | None = None
    rows: Sequence[str] | None = None


AS_THEY_ARE = Limits()


def set_limits(
    session: Session,
    level: Level,
    owner_id: str,
    limits: Limits,
    *,
    tenant_id: Reach,
    models: Collection[str] | None = None,
    begun_at: datetime | None = None,
) -> dict[str, Any]:
    """Gives the owner these limits and returns the changes. They may name these models; any model, if None.

    `begun_at` is the beginning of an owner who is made with them: nothing was spent before.

    Raises `InvalidValue`.
    """
    changed: dict[str, Any] = {}
    wanted: list[tuple[Unit, Sequence[str] | None]] = [("requests", limits.requests), ("rows", limits.rows)]
    for unit, texts in wanted:
        if texts is None:
            continue
        try:
            policies = parse_limits(texts, level, unit)
        except InvalidLimit as error:
            raise InvalidValue(str(error)) from None
        _check_models(session, policies, models)
        replace_policies(session, level, owner_id, unit, policies, tenant_id=tenant_id, begun_at=begun_at)
        changed[unit] = [policy.text for policy in policies]
    return changed


def check_within_tenant(session: Session, key: Key, tenant: Tenant, units: Collection[str]) -> None:
    """Raises `InvalidValue` if a limit of the key allows more than its tenant can do in the same time.

    Checks limits on these units alone: after the tenant's limits were lowered, the key's other terms can be changed.
    """
    session.flush()
    bounds = policies_that_bind(session, plan_id=tenant.plan_id, tenant_id=tenant.id, key_id=None)
    for policy in policies_of(session, "key", key.id, tenant_id=tenant.id):
        if policy.unit in units and policy.amount > most_allowed(bounds, policy):
            raise InvalidValue(f"the limit {policy.text} on {policy.unit} exceeds the tenant's limits")


def most_allowed(bounds: Iterable[Policy], policy: Policy) -> float:
    """Returns the most that these limits admit in one window of the policy, of what the policy counts.

    A limit admits its amount in each of its windows that begins meanwhile. Where windows differ in length from month to
    month the result is the least that is possible: in doubt a key's limit is refused.
    """
    seconds = _length(policy, _SHORTEST)
    most = [
        bound.amount * _windows(bound, policy, seconds)
        for bound in bounds
        if bound.unit == policy.unit and bound.model in (None, policy.model)
    ]
    return min(most, default=float("inf"))


def _windows(bound: Policy, policy: Policy, seconds: int) -> int:
    """Returns how many of the bound's windows begin in so many seconds."""
    if bound.calendar is not None and bound.calendar == policy.calendar:
        return 1
    return -(-seconds // _length(bound, _LONGEST))


def _length(policy: Policy, lengths: dict[str, int]) -> int:
    return policy.window_seconds or lengths[policy.calendar or "month"]


def _check_models(session: Session, policies: Sequence[Policy], models: Collection[str] | None) -> None:
    """Raises `InvalidValue` for a limit on a model that does not exist for this actor: it would limit nothing."""
    named = {policy.model for policy in policies if policy.model is not None}
    if missing := named - (known_models(session, named) if models is None else set(models)):
        names = ", ".join(sorted(missing))
        raise InvalidValue(f"no model is named {names}" if models is None else f"the tenant has no model {names}")
