"""Limits that are new to their holder, where several processes count in one Redis."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from db.policies import Policy
from quotas.accounts import meter_of
from quotas.limiter import QuotaExceeded, Quotas
from quotas.policies import parse_limit
from quotas.shared.seeding import Memory
from quotas.store import Spending
from quotas.strategy import shared_store

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Holder:
    policies: tuple[Policy, ...]
    account_id: str = "key"
    pool_id: str = "tenant"
    concurrency: int | None = None
    time_zone: str = "UTC"


class Log:
    """Sixty requests, ten minutes ago, on whatever is asked for."""

    def __call__(self, policies, *, tenant_id, key_id, time_zone):
        ids = {"pool_id": tenant_id, "account_id": key_id, "time_zone": time_zone}
        at_ms = int(time.time() * 1000) - 600_000
        return [Spending(meter_of(policy, **ids), cost, at_ms) for policy in policies for cost in (20, 40)]


@pytest.mark.parametrize("text", ["100/hour", "100/day", "iris: 100/2 hours"])
async def test_processes_that_fill_one_meter_together_fill_it_once(redis, text):
    """Four processes hear of the limit at the same moment: forty of the hundred are left, for all of them together."""
    stores = [shared_store(redis.url, f"process-{number}", Memory(list)) for number in range(4)]
    for store in stores:
        await store.start()
    holder = Holder((replace(parse_limit(text, "tenant", "requests"), since=datetime.now(UTC)),))
    quotas = [Quotas(store, Log()) for store in stores]
    asked = [each.charge_request(holder, "iris") for _ in range(20) for each in quotas]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, QuotaExceeded)]
    assert (len(answers) - len(refused), {type(each) for each in refused}) == (40, {QuotaExceeded})
    assert [state.left for each in quotas for state in await each.states(holder)] == [0] * 4
    for store in stores:
        await store.close()
