"""Both stores against one plain model of the rule."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from quotas.calendar import bounds_at
from quotas.shared.seeding import Memory
from quotas.store import Calendar, Charged, Full, Meter, Pool, Refused, Spending, Trailing
from quotas.strategy import memory_store, shared_store
from quotas.window import NS, SUB_WINDOWS

SECONDS = (1, 7, 60, 3_600)
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut")
#: A little before the end of March 2027 in UTC, near changes of clocks in several zones.
BEGIN_S = int(datetime(2027, 3, 27, 21, tzinfo=UTC).timestamp())


class MemoryDriver:
    """A store in memory on clocks of the test's own."""

    begins_by_looking = True

    def __init__(self):
        self.steady, self.wall = 0, BEGIN_S * NS
        self.store = memory_store(lambda: self.steady, lambda: self.wall)

    def run(self, awaitable):
        try:
            awaitable.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("the store in memory yielded")

    def wait(self, seconds):
        self.steady += int(seconds * NS)
        self.wall += int(seconds * NS)

    def set_wall(self, seconds):
        self.wall += int(seconds * NS)

    def wall_second(self):
        return self.wall // NS

    def close(self):
        """Nothing to close."""


class RedisDriver:
    """A store in Redis, whose clock the test shifts. What really passes meanwhile is the model's tolerance."""

    begins_by_looking = False

    numbers = iter(range(10**9))

    def __init__(self, url, runner):
        self.runner = runner
        self.store = shared_store(url, f"process-{next(self.numbers)}", Memory())
        self.run(self.store.start())
        self.link = self.store.storage.link
        # The steady clock's bound would hold back the leaps that this test makes; it has tests of its own.
        self.link._clock.latest = lambda: 0
        self.link.skew_us = self.begun = (BEGIN_S * 1_000_000) - time.time_ns() // 1_000
        self.store._wall_clock = self.wall_second

    def run(self, awaitable):
        return self.runner.run(awaitable)

    def wait(self, seconds):
        self.link.skew_us += int(seconds * 1_000_000)

    def set_wall(self, seconds):
        self.link.skew_us += int(seconds * 1_000_000)

    def wall_second(self):
        return int(time.time() + self.link.skew_us / 1e6)

    def close(self):
        self.run(self.store.close())


class Model:
    """One meter: spendings with the earliest and the latest time at which each can be."""

    def __init__(self):
        self.spent, self.page = [], 0


class Stores(RuleBasedStateMachine):
    """Charges, give-backs, waits, clocks that are set back, and ends of days and months."""

    driver_of = None
    names = iter(range(10**9))

    def __init__(self):
        super().__init__()
        self.driver = self.driver_of()
        self.prefix = f"t{next(self.names)}"
        self.now, self.begun = 0.0, time.monotonic()
        self.charges, self.log, self.page, self.taken = [], {}, {}, []

    def teardown(self):
        for lease in self.taken:
            self.driver.store.release(lease)
        self.driver.close()

    def meter(self, number):
        if number < len(SECONDS):
            return Meter(f"{self.prefix}-{number}", 10 * (number + 1), Trailing(SECONDS[number]))
        zone = ZONES[number % len(ZONES)]
        return Meter(f"{self.prefix}-{number}", 25, Calendar("day" if number % 2 else "month", zone))

    def elapsed(self):
        """The time that the rule goes by, at least and at most: a real one passes while Redis is asked."""
        return self.now, self.now + (time.monotonic() - self.begun)

    def bounds(self, meter):
        """The least and the most that may count as spent now."""
        early, late = self.elapsed()
        log = self.log.get(meter.name, [])
        if isinstance(meter.window, Calendar):
            spent = 0 if self.is_over(meter) else sum(cost for _, _, cost in log)
            return spent, spent
        length = meter.window.seconds
        at_least = sum(cost for first, _, cost in log if first >= late - length)
        at_most = sum(cost for _, last, cost in log if last >= early - length - length / SUB_WINDOWS - 0.001)
        return at_least, at_most

    def is_over(self, meter):
        """Whether the day or month on which the meter counted last has ended."""
        return self.label(meter) > self.page.get(meter.name, 0)

    def label(self, meter):
        return bounds_at(meter.window, self.driver.wall_second()).first

    def turn_pages(self, meters):
        """Begins the running day or month; one that was only looked at is begun by the store in memory alone."""
        for meter in meters:
            if isinstance(meter.window, Calendar) and self.is_over(meter):
                self.page[meter.name], self.log[meter.name] = self.label(meter), []

    def look_at(self, meters):
        if self.driver.begins_by_looking:
            self.turn_pages(meters)

    @rule(numbers=st.sets(st.integers(0, 7), min_size=1, max_size=4), cost=st.integers(1, 12), takes=st.booleans())
    def charge(self, numbers, cost, takes):
        meters = [self.meter(number) for number in sorted(numbers)]
        self.look_at(meters)
        early, _ = self.elapsed()
        before = [self.bounds(meter) for meter in meters]
        pool = Pool(f"{self.prefix}-pool", 3) if takes else None
        outcome = self.driver.run(self.driver.store.charge(meters, cost, (), pool))
        _, late = self.elapsed()
        if isinstance(outcome, Full):
            assert len(self.taken) == 3
            return
        if takes:
            assert len(self.taken) < 3
        fits_surely = all(most + cost <= meter.amount for meter, (_, most) in zip(meters, before, strict=True))
        fits_never = any(least + cost > meter.amount for meter, (least, _) in zip(meters, [self.bounds(m) for m in meters], strict=True))  # fmt: skip
        if isinstance(outcome, Charged):
            assert not fits_never
            self.turn_pages(meters)
            for meter in meters:
                self.log.setdefault(meter.name, []).append((early, late, cost))
            self.charges.append((meters, cost, outcome.spent_at, early, late))
            if outcome.lease is not None:
                self.taken.append(outcome.lease)
        else:
            assert isinstance(outcome, Refused)
            assert not fits_surely
            assert outcome.over
            assert outcome.wait_ns > 0 or any(cost > meter.amount for meter in outcome.over)
        for meter, state in zip(meters, outcome.states, strict=True):
            least, most = self.bounds(meter)
            assert meter.amount - most <= state.left or state.left == 0
            assert state.left <= meter.amount - least

    @rule(data=st.data())
    def give_back(self, data):
        if not self.charges:
            return
        meters, cost, spent_at, early, late = self.charges.pop(data.draw(st.integers(0, len(self.charges) - 1)))
        self.look_at(meters)
        self.driver.store.give_back(meters, cost, spent_at)
        for meter in meters:
            if isinstance(meter.window, Calendar) and self.is_over(meter):
                continue
            if (early, late, cost) in self.log.get(meter.name, []):
                self.log[meter.name].remove((early, late, cost))

    @rule()
    def release(self):
        if self.taken:
            self.driver.store.release(self.taken.pop())

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.5, 1.01, 6, 58, 3_600, 9_000]))
    def wait(self, seconds):
        self.driver.wait(seconds)
        self.now += seconds

    @rule(seconds=st.sampled_from([0.5, 5, 3_700]))
    def set_the_wall_clock_back(self, seconds):
        self.driver.set_wall(-seconds)

    @invariant()
    def what_is_left_is_what_the_rule_says(self):
        meters = [self.meter(number) for number in range(8)]
        self.look_at(meters)
        states = self.driver.run(self.driver.store.states(meters))
        for meter, state in zip(meters, states, strict=True):
            least, most = self.bounds(meter)
            assert max(0, meter.amount - most) <= state.left <= meter.amount - least


def test_the_store_in_memory_keeps_the_rule():
    """Whatever is charged, given back or waited for, and wherever the wall clock is set."""
    Stores.driver_of = staticmethod(MemoryDriver)
    run_state_machine_as_test(Stores, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))


def test_the_store_in_redis_keeps_the_same_rule(redis):
    """The same, with Redis' clock set back."""
    with asyncio.Runner() as runner:
        Stores.driver_of = staticmethod(lambda: RedisDriver(redis.url, runner))
        run_state_machine_as_test(
            Stores,
            settings=settings(
                max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_seeded_spending_counts_until_it_is_too_old(store, request):
    """In its window alone, whatever the order it comes in; `fill` adds only what is missing."""
    meters = [Meter("minute", 100, Trailing(60)), Meter("day", 100, Calendar("day", "UTC"))]
    with asyncio.Runner() as runner:
        if store == "memory":
            driver = MemoryDriver()
            now_ms = driver.wall // 1_000_000
        else:
            driver = RedisDriver(request.getfixturevalue("redis").url, runner)
            driver.link.skew_us = 0
            now_ms = time.time_ns() // 1_000_000
        past = [
            Spending(meters[0], cost, now_ms - age) for cost, age in [(5, 30_000), (7, 90_000), (2, 50_000), (1, 0)]
        ]
        driver.run(driver.store.fill(past))
        assert driver.run(driver.store.states(meters))[0].left == 92
        driver.run(driver.store.fill([*past, Spending(meters[0], 1, now_ms - 1_000)]))
        assert driver.run(driver.store.states(meters))[0].left == 91
        driver.wait(15)
        assert driver.run(driver.store.states(meters))[0].left == 93
        driver.close()
