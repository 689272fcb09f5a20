"""A tenant's usage as a command sees it, which has no access to a server's memory: from Redis, or from the log."""

from __future__ import annotations

from typing import Any

from admin.usage import limits_of_tenant, usage_of
from db.database import Database
from db.paging import WHOLE
from program.seeding import Bound, seed, spendings
from program.settings import Settings
from quotas.strategy import memory_store, shared_store
from values.ids import uuid7
from values.instants import now_ms


async def usage_outside(settings: Settings, database: Database, name: str) -> dict[str, Any]:
    """Returns the limits of a tenant, its plan and all of its keys with their use, and in `counted_by` who counted it.

    Raises `NotFound`, `DatabaseUnavailable`, `StoreUnavailable` or `StoreUnfit`.
    """
    limits = limits_of_tenant(database, name, WHOLE)
    if settings.redis_url is not None:
        shared = shared_store(settings.redis_url.get_secret_value(), uuid7(), None)
        try:
            await shared.start()
            return await usage_of(limits, shared) | {"counted_by": "redis"}
        finally:
            await shared.close()
    store = memory_store()
    bound = [Bound(each.policy, limits.tenant_id, each.key_id, limits.time_zone) for each in limits.limits]
    await seed(store, spendings(database, bound, now_ms(), settings.request_timeout_seconds))
    return await usage_of(limits, store) | {"counted_by": "log"}
