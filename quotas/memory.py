"""The store of one process: windows in memory, as a storage and a strategy that slowapi's Limiter can own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from limits import RateLimitItem
from limits.storage import Storage
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

SCHEME = "adyton+memory"
STRATEGY = "sub-window"
MIN_SWEEP = 4_096
_PROBE = Meter("probe", 1_000, Trailing(60))


class WindowStorage(Storage):
    """Windows by name, in memory; it sweeps out empty windows as new ones come.

    `clock` never goes back; `wall_clock` may, and no window turns back with it. With `most`, it holds at most so many
    windows: where all are busy, it forgets the oldest tenth.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  the base class declares it so

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], int] = time.time_ns,
        most: int | None = None,
        **_options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        self.clock = clock
        self._wall_clock = wall_clock
        self._most = most
        self._windows: dict[str, Window | CalendarWindow] = {}
        self._sweep_at = MIN_SWEEP if most is None else min(most, MIN_SWEEP)

    def __len__(self) -> int:
        return len(self._windows)

    def windows(self, meters: Sequence[Meter]) -> list[Window | CalendarWindow]:
        """Returns the window of each meter; makes the missing ones."""
        # Sweeps before, never in between: that would sweep out a window that was just made and is still empty.
        if len(self._windows) >= self._sweep_at:
            self._sweep()
        windows = []
        for name, _, kind in meters:
            window = self._windows.get(name)
            if window is None:
                window = self._windows[name] = (
                    Window(kind) if isinstance(kind, Trailing) else CalendarWindow(kind, self.wall)
                )
            elif window.kind != kind:
                window.follow(kind)
            windows.append(window)
        return windows

    def wall(self) -> int:
        """Returns the wall clock's time, in nanoseconds since 1970."""
        return self._wall_clock()

    def _sweep(self) -> None:
        """Drops empty windows; waits until their number has doubled, so that a request pays next to nothing."""
        now = self.clock()
        self._windows = {name: window for name, window in self._windows.items() if window.spent(now)}
        most = self._most
        if most is not None:
            for name in list(self._windows)[: max(0, len(self._windows) - most * 9 // 10)]:
                del self._windows[name]
        self._sweep_at = max(MIN_SWEEP, 2 * len(self._windows))
        if most is not None:
            self._sweep_at = min(most, self._sweep_at)

    @property
    def base_exceptions(self) -> type[Exception]:
        return RuntimeError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        (window,), now = self.windows([Meter(key, 0, Trailing(expiry))]), self.clock()
        window.spend(amount, now)
        return window.spent(now)

    def get(self, key: str) -> int:
        window = self._windows.get(key)
        return 0 if window is None else window.spent(self.clock())

    def get_expiry(self, key: str) -> float:
        """Returns the time at which the quota next grows, in seconds since 1970, as `limits` wants it."""
        window = self._windows.get(key)
        return time.time() + (0 if window is None else window.grows_in(self.clock()) / NS)

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)


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
