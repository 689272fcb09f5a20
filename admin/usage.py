"""A tenant's limits together with their use: those of its plan, its own, and those of each of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from admin.shown import shown_policy
from admin.tenants import named_tenant
from db.database import Database
from db.keys import page_of_living_keys
from db.paging import WHOLE, Cut
from db.policies import Policy, policies_of, policies_of_each
from db.reach import EVERY_TENANT
from db.tenants import page_of_tenants, plan_of
from quotas.accounts import described, meter_of
from quotas.store import Meter, State, Store

#: Meters that a store is asked for in one question: a thousand keys' would hold up the charges behind it.
AT_ONCE = 200


class Metered(NamedTuple):
    """A policy with the meter that it counts on; of a key, with the key's id and label."""

    policy: Policy
    meter: Meter
    key_id: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """A tenant's limits, as far as they stand on this page; `next` is the position of the next page."""

    tenant: str
    tenant_id: str
    plan: str
    time_zone: str
    limits: Sequence[Metered]
    next: str | None


def limits_of_tenant(database: Database, name: str, cut: Cut) -> TenantLimits:
    """Returns the limits of the tenant's plan, its own (both on the first page), and those of a page of its keys.

    Revoked keys are left out. Raises `NotFound`.
    """
    with database.reading(EVERY_TENANT) as session:
        tenant = named_tenant(session, name, tenant_id=EVERY_TENANT)
        plan = plan_of(session, tenant)
        keys = page_of_living_keys(session, cut, tenant_id=tenant.id)
        each_keys = policies_of_each(session, "key", [key.id for key, _ in keys.rows], tenant_id=tenant.id)
        shared: list[Policy] = []
        if cut.after is None:
            shared += policies_of(session, "plan", plan.id, tenant_id=EVERY_TENANT)
            shared += policies_of(session, "tenant", tenant.id, tenant_id=tenant.id)

        def meter(policy: Policy, key_id: str | None = None) -> Meter:
            return meter_of(policy, pool_id=tenant.id, account_id=key_id, time_zone=tenant.time_zone)

        limits = [Metered(policy, meter(policy)) for policy in shared]
        for key, _ in keys.rows:
            limits += [Metered(policy, meter(policy, key.id), key.id, key.label) for policy in each_keys[key.id]]
        return TenantLimits(tenant.name, tenant.id, plan.name, tenant.time_zone, limits, keys.next)


def limits_of_tenants(database: Database) -> list[TenantLimits]:
    """Returns the limits of every tenant that is not erased, its plan's and its own, without those of its keys."""
    with database.reading(EVERY_TENANT) as session:
        found = page_of_tenants(session, WHOLE, tenant_id=EVERY_TENANT).rows
        living = [(tenant, plan) for tenant, plan in found if tenant.status != "erased"]
        of_plans = policies_of_each(session, "plan", list({plan.id for _, plan in living}), tenant_id=EVERY_TENANT)
        own = policies_of_each(session, "tenant", [tenant.id for tenant, _ in living], tenant_id=EVERY_TENANT)
        return [
            TenantLimits(
                tenant.name,
                tenant.id,
                plan.name,
                tenant.time_zone,
                [
                    Metered(policy, meter_of(policy, pool_id=tenant.id, account_id=None, time_zone=tenant.time_zone))
                    for policy in (*of_plans[plan.id], *own[tenant.id])
                ],
                None,
            )
            for tenant, plan in living
        ]


async def usage_of(limits: TenantLimits, store: Store) -> dict[str, Any]:
    """Returns the limits with their use, as the store counts it. Raises `StoreUnavailable`."""
    states: list[State] = []
    for start in range(0, len(limits.limits), AT_ONCE):
        states += await store.states([each.meter for each in limits.limits[start : start + AT_ONCE]])
    return {
        "tenant": limits.tenant,
        "plan": limits.plan,
        "time_zone": limits.time_zone,
        "policies": [_shown(each, limits.time_zone, state) for each, state in zip(limits.limits, states, strict=True)],
    }


def _shown(each: Metered, time_zone: str, state: State) -> dict[str, Any]:
    shown = shown_policy(described(each.policy, time_zone).at(state))
    return {"level": each.policy.level, "key": each.key_id, "label": each.label} | shown
