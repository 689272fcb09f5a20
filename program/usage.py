"""A tenant's usage as a command sees it, which has no access to a server's memory: from Redis, or from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from admin.usage import TenantLimits, limits_of_tenant, limits_of_tenants, usage_of
from db.database import Database
from db.paging import WHOLE
from program.seeding import Bound, seed, spendings
from program.settings import Settings
from quotas.store import Store
from quotas.strategy import memory_store, shared_store
from values.ids import uuid7
from values.instants import now_ms


async def usage_of_tenant(settings: Settings, database: Database, name: str) -> dict[str, Any]:
    """Returns the limits of a tenant, its plan and all of its keys with their use, and in `counted_by` who counted it.

    Raises `NotFound`, `DatabaseUnavailable`, `StoreUnavailable` or `StoreUnfit`.
    """
    limits = limits_of_tenant(database, name, WHOLE)
    async with _counting(settings, database, [limits]) as (store, counted_by):
        return await usage_of(limits, store) | {"counted_by": counted_by}


async def usage_of_tenants(settings: Settings, database: Database) -> list[dict[str, Any]]:
    """Returns what `usage_of_tenant` does for every tenant, without its keys. Raises the same."""
    every = limits_of_tenants(database)
    async with _counting(settings, database, every) as (store, counted_by):
        return [await usage_of(limits, store) | {"counted_by": counted_by} for limits in every]


@asynccontextmanager
async def _counting(
    settings: Settings, database: Database, every: Sequence[TenantLimits]
) -> AsyncIterator[tuple[Store, str]]:
    """Yields a store that knows what was spent on these limits, and its name."""
    if settings.redis_url is not None:
        shared = shared_store(settings.redis_url.get_secret_value(), uuid7(), None)
        try:
            await shared.start()
            yield shared, "redis"
        finally:
            await shared.close()
        return
    store = memory_store()
    bound = [
        Bound(each.policy, limits.tenant_id, each.key_id, limits.time_zone)
        for limits in every
        for each in limits.limits
    ]
    await seed(store, spendings(database, bound, now_ms(), settings.request_timeout_seconds))
    yield store, "log"
