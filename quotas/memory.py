"""The store of one process, as a strategy of `limits` that slowapi's Limiter can own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import attrgetter

from limits import RateLimitItem
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats

from quotas.calendar import CalendarWindow, bounds_at
from quotas.store import (
    Calendar,
    Charged,
    Full,
    Lease,
    Meter,
    Pool,
    Refused,
    Spending,
    State,
    Trailing,
)
from quotas.window import NS, Window
from quotas.window_storage import WindowStorage

STRATEGY = "sub-window"
_PROBE = Meter("probe", 1_000, Trailing(60))


class MemoryStore(RateLimiter):
    """Counts in this process. Nothing of it yields to the event loop, so that each call is all or nothing."""

    storage: WindowStorage

    def __init__(self, storage: WindowStorage) -> None:
        super().__init__(storage)
        self._places: dict[str, int] = {}

    async def charge(
        self, meters: Sequence[Meter], cost: int, shown: Sequence[Meter] = (), pool: Pool | None = None
    ) -> Charged | Refused | Full:
        return self.charge_now(meters, cost, shown, pool)

    def charge_now(
        self, meters: Sequence[Meter], cost: int, shown: Sequence[Meter] = (), pool: Pool | None = None
    ) -> Charged | Refused | Full:
        now = self.storage.clock()
        if pool is not None and pool.at_once is not None and self._places.get(pool.name, 0) >= pool.at_once:
            return Full(self.states_now([*meters, *shown]))
        all_meters = [*meters, *shown]
        windows = self.storage.windows(all_meters)
        charged = windows[: len(meters)]
        for meter, window in zip(meters, charged, strict=True):
            if window.spent(now) + cost > meter.amount:
                return self._refused(meters, charged, cost, shown)
        for window in charged:
            window.spend(cost, now)
        states = [window.state(meter.amount, now) for meter, window in zip(all_meters, windows, strict=True)]
        return Charged(now, states, None if pool is None else self._take(pool))

    def give_back(self, meters: Sequence[Meter], cost: int, spent_at: int) -> None:
        for window in self.storage.windows(meters):
            window.give_back(cost, spent_at)

    def release(self, lease: Lease) -> None:
        left = self._places[lease.pool] - 1
        if left:
            self._places[lease.pool] = left
        else:
            del self._places[lease.pool]

    async def states(self, meters: Sequence[Meter]) -> Sequence[State]:
        return self.states_now(meters)

    def states_now(self, meters: Sequence[Meter]) -> list[State]:
        now, windows = self.storage.clock(), self.storage.windows(meters)
        return [window.state(meter.amount, now) for meter, window in zip(meters, windows, strict=True)]

    async def seed(self, spendings: Sequence[Spending]) -> None:
        now = self.storage.clock()
        for meter, cost, at_ms in spendings:
            (window,) = self.storage.windows([meter])
            self._count(window, cost, at_ms, now)

    async def fill(self, spendings: Sequence[Spending]) -> None:
        found: dict[Meter, list[Spending]] = {}
        now_ms = self.storage.wall() // 1_000_000
        for each in sorted(spendings, key=attrgetter("at_ms"), reverse=True):
            kind = each.meter.window
            if isinstance(kind, Calendar) or now_ms - each.at_ms <= kind.seconds * 1_000:
                found.setdefault(each.meter, []).append(each)
        now = self.storage.clock()
        for meter, newest_first in found.items():
            (window,) = self.storage.windows([meter])
            missing = sum(each.cost for each in newest_first) - window.spent(now)
            for _, cost, at_ms in newest_first:
                if missing > 0:
                    self._count(window, min(cost, missing), at_ms, now)
                missing -= cost

    async def check(self) -> bool:
        before = self.states_now([_PROBE])
        outcome = self.charge_now([_PROBE], 1)
        if not isinstance(outcome, Charged) or self.states_now([_PROBE]) == before:
            return False
        self.give_back([_PROBE], 1, outcome.spent_at)
        return self.states_now([_PROBE])[0].left == before[0].left

    async def start(self) -> None:
        """Is always ready."""

    async def close(self) -> None:
        """Has nothing to end."""

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return isinstance(self.charge_now([_meter(item, identifiers)], cost), Charged)

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self.states_now([_meter(item, identifiers)])[0].left >= cost

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        ((left, wait_ns),) = self.states_now([_meter(item, identifiers)])
        return WindowStats(time.time() + wait_ns / NS, left)

    def _refused(
        self, meters: Sequence[Meter], windows: Sequence[Window | CalendarWindow], cost: int, shown: Sequence[Meter]
    ) -> Refused:
        now, over, wait_ns = self.storage.clock(), [], 0
        for meter, window in zip(meters, windows, strict=True):
            too_many = window.spent(now) + cost - meter.amount
            if too_many > 0:
                over.append(meter)
                wait_ns = max(wait_ns, window.free_again(too_many, now))
        return Refused(over, wait_ns, self.states_now([*meters, *shown]))

    def _count(self, window: Window | CalendarWindow, cost: int, at_ms: int, now: int) -> None:
        wall = self.storage.wall()
        # Spending that another clock dates in the future counts as of now.
        age = max(0, wall - at_ms * 1_000_000)
        if isinstance(window, Window) or bounds_at(window.kind, wall // NS).start * NS <= wall - age:
            window.seed(cost, now - age)

    def _take(self, pool: Pool) -> Lease:
        self._places[pool.name] = self._places.get(pool.name, 0) + 1
        return Lease(pool.name)


def _meter(item: RateLimitItem, identifiers: Sequence[str]) -> Meter:
    return Meter(item.key_for(*identifiers), item.amount, Trailing(item.get_expiry()))


STRATEGIES[STRATEGY] = MemoryStore  # type: ignore[assignment]  # its values are typed as its own classes
