"""A limit that is new to its holder begins with what was spent before it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event

import pytest

from db.database import DatabaseUnavailable
from db.policies import Policy
from quotas.accounts import meter_of
from quotas.limiter import QuotaExceeded, Quotas
from quotas.policies import parse_limit
from quotas.store import Spending, StoreUnavailable
from quotas.strategy import memory_store
from quotas.window import NS

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Holder:
    policies: tuple[Policy, ...]
    account_id: str = "key"
    pool_id: str = "tenant"
    concurrency: int | None = None
    time_zone: str = "UTC"


class Log:
    """What was spent, by policy: amounts with their ages in seconds. It counts the readings, and can be held or down."""

    def __init__(self, clock, **spent):
        self.clock, self.spent, self.readings, self.asked = clock, spent, 0, []
        self.is_down, self.may_answer = False, Event()
        self.may_answer.set()

    def __call__(self, policies, *, tenant_id, key_id, time_zone):
        self.readings += 1
        self.asked += [policy.name for policy in policies]
        self.may_answer.wait(30)
        if self.is_down:
            raise DatabaseUnavailable
        ids = {"pool_id": tenant_id, "account_id": key_id, "time_zone": time_zone}
        return [
            Spending(meter_of(policy, **ids), cost, (self.clock.wall() - age * NS) // 1_000_000)
            for policy in policies
            for cost, age in self.spent.get(policy.name.replace("-", "_"), ())
        ]


class Clock:
    passed = 0

    def __call__(self):
        return self.passed

    def wall(self):
        return int(NOON.timestamp()) * NS + self.passed


@pytest.fixture
def clock():
    return Clock()


def quotas_of(clock, log=None):
    return Quotas(memory_store(clock, clock.wall), log)


def limit(text, level="key", since=NOON):
    return replace(parse_limit(text, level, "requests"), since=since)


async def left(quotas, holder):
    return {state.name: state.left for state in await quotas.states(holder)}


async def test_a_new_window_does_not_hand_out_a_whole_quota(clock):
    """100 a minute became 100 an hour: what the log knows of the hour is spent, and comes back as it grows old."""
    log = Log(clock, key_requests_3600=[(60, 1800), (30, 10)])
    quotas, holder = quotas_of(clock, log), Holder((limit("100/hour"),))
    for _ in range(10):
        await quotas.charge_request(holder)
    with pytest.raises(QuotaExceeded):
        await quotas.charge_request(holder)
    clock.passed = 1801 * NS
    assert await left(quotas, holder) == {"key-requests-3600": 60}
    assert log.readings == 1


async def test_limits_that_are_not_new_are_not_asked_for(clock):
    """Nothing of the log is read for them."""
    log = Log(clock)
    quotas = quotas_of(clock, log)
    await quotas.charge_request(Holder((limit("5/minute", since=None), limit("100/hour", level="plan"))))
    await quotas.charge_request(Holder((limit("5/minute", since=None),)))
    assert log.asked == ["plan-requests-3600"]


async def test_a_limit_that_was_removed_and_set_again_misses_nothing(clock):
    """Its meter knows the five from before; the log knows all that was asked since, unlimited."""
    log = Log(clock, key_requests_3600=[(5, 100), (90, 50)])
    quotas = quotas_of(clock, log)
    for _ in range(5):
        await quotas.charge_request(Holder((limit("100/hour", since=None),)))
    assert await left(quotas, Holder((limit("100/hour"),))) == {"key-requests-3600": 5}
    assert await left(quotas, Holder((limit("100/hour"), limit("1/second", level="plan")))) == {
        "key-requests-3600": 5, "plan-requests-1": 1
    }  # fmt: skip


async def test_requests_that_arrive_meanwhile_wait_for_one_reading(clock):
    """None is charged before the meter is filled, and the log is read once."""
    log = Log(clock, key_requests_3600=[(97, 10)])
    quotas, holder = quotas_of(clock, log), Holder((limit("100/hour"),))
    log.may_answer.clear()
    asked = [asyncio.ensure_future(quotas.charge_request(holder)) for _ in range(20)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in asked)
    log.may_answer.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, QuotaExceeded) for each in answers) == 17
    assert log.readings == 1


async def test_limits_that_change_during_a_reading_are_read_as_well(clock):
    """The reading that is under way knows nothing of them: another one follows."""
    log = Log(clock, key_requests_3600=[(97, 10)], key_requests_7200=[(99, 10)])
    quotas = quotas_of(clock, log)
    log.may_answer.clear()
    before = asyncio.ensure_future(quotas.charge_request(Holder((limit("100/hour"),))))
    await asyncio.sleep(0)
    asked = [asyncio.ensure_future(quotas.charge_request(Holder((limit("100/2 hours"),)))) for _ in range(3)]
    await asyncio.sleep(0)
    log.may_answer.set()
    answers = await asyncio.gather(before, *asked, return_exceptions=True)
    assert [isinstance(each, QuotaExceeded) for each in answers] == [False, False, True, True]
    assert sorted(log.asked) == ["key-requests-3600", "key-requests-7200"]


async def test_nothing_is_admitted_while_the_log_cannot_be_read(clock):
    """503 until it can, and then with what was spent."""
    log = Log(clock, key_requests_3600=[(99, 10)])
    quotas, holder = quotas_of(clock, log), Holder((limit("100/hour"),))
    log.is_down = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await quotas.charge_request(holder)
    log.is_down = False
    await quotas.charge_request(holder)
    with pytest.raises(QuotaExceeded):
        await quotas.charge_request(holder)


async def test_a_tenants_limit_is_filled_once_for_all_of_its_keys(clock):
    """The second key's first request reads nothing that the first one's read."""
    log = Log(clock, tenant_requests_3600=[(40, 10)])
    quotas = quotas_of(clock, log)
    policies = (limit("100/hour", level="tenant"),)
    await quotas.charge_request(Holder(policies, account_id="a"))
    await quotas.charge_request(Holder(policies, account_id="b"))
    assert await left(quotas, Holder(policies, account_id="c")) == {"tenant-requests-3600": 58}
    assert log.readings == 1


async def test_a_calendar_limit_begins_with_its_period(clock):
    """Of what the log knows, today's spending alone counts for today, and the month's for the month."""
    spent = [(7, 60), (20, 13 * 3600)]
    log = Log(clock, key_requests_calendar_day=spent, key_requests_calendar_month=spent)
    holder = Holder((limit("100/calendar-day"), limit("100/calendar-month")))
    assert await left(quotas_of(clock, log), holder) == {
        "key-requests-calendar-day": 93, "key-requests-calendar-month": 73
    }  # fmt: skip
