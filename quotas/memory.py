"""The exact window as a storage and a strategy of `limits`, which slowapi's Limiter can own; for one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats

from quotas.window import NS, Window

SCHEME = "adyton+memory"
STRATEGY = "sub-window"
MIN_SWEEP = 4_096


class Meter(NamedTuple):
    """One policy to charge: the name that it counts under, the amount that it allows, and its window."""

    name: str
    amount: int
    window_seconds: int


class Refusal(NamedTuple):
    """The meters that a charge would have overrun, and the nanoseconds until all of them could take it."""

    meters: Sequence[Meter]
    wait_ns: int


class WindowStorage(Storage):
    """Windows by name, in memory; it sweeps out empty windows as new ones come."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  the base class declares it so

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
        **_options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        self.clock = clock
        self.lock = Lock()
        self._windows: dict[str, Window] = {}
        self._sweep_at = MIN_SWEEP

    def windows(self, meters: Sequence[Meter]) -> list[Window]:
        """Returns the window of each meter; makes the missing ones."""
        # Sweeps before, never in between: that would sweep out a window that was just made and is still empty.
        self._sweep()
        return [self._window(meter.name, meter.window_seconds) for meter in meters]

    def _window(self, name: str, window_seconds: int) -> Window:
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = Window(window_seconds)
        return window

    def _sweep(self) -> None:
        """Drops empty windows; waits until their number has doubled, so that a request pays next to nothing."""
        if len(self._windows) >= self._sweep_at:
            now = self.clock()
            self._windows = {name: window for name, window in self._windows.items() if window.spent(now)}
            self._sweep_at = max(MIN_SWEEP, 2 * len(self._windows))

    @property
    def base_exceptions(self) -> type[Exception]:
        return RuntimeError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with self.lock:
            (window,), now = self.windows([Meter(key, 0, expiry)]), self.clock()
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


class WindowRateLimiter(RateLimiter):
    """Charges several meters at once, all of them or none."""

    storage: WindowStorage

    def charge(self, meters: Sequence[Meter], cost: int) -> int | Refusal:
        """Spends `cost` on every meter and returns the clock's time, or spends nothing and returns the refusal."""
        with self.storage.lock:
            now = self.storage.clock()
            windows = self.storage.windows(meters)
            over = [
                (meter, window.free_again(window.spent(now) + cost - meter.amount, now))
                for meter, window in zip(meters, windows, strict=True)
                if window.spent(now) + cost > meter.amount
            ]
            if over:
                return Refusal([meter for meter, _ in over], max(wait for _, wait in over))
            for window in windows:
                window.spend(cost, now)
            return now

    def give_back(self, meters: Sequence[Meter], cost: int, spent_at: int) -> None:
        with self.storage.lock:
            for window in self.storage.windows(meters):
                window.give_back(cost, spent_at)

    def states(self, meters: Sequence[Meter]) -> list[tuple[int, int]]:
        """Returns what is left of each meter, and the nanoseconds until that grows (0: nothing is spent)."""
        with self.storage.lock:
            now = self.storage.clock()
            windows = self.storage.windows(meters)
            return [
                (max(0, meter.amount - window.spent(now)), window.grows_in(now))
                for meter, window in zip(meters, windows, strict=True)
            ]

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return not isinstance(self.charge([_meter(item, identifiers)], cost), Refusal)

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self.states([_meter(item, identifiers)])[0][0] >= cost

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        ((left, wait_ns),) = self.states([_meter(item, identifiers)])
        return WindowStats(time.time() + wait_ns / NS, left)


def _meter(item: RateLimitItem, identifiers: Sequence[str]) -> Meter:
    return Meter(item.key_for(*identifiers), item.amount, item.get_expiry())


STRATEGIES[STRATEGY] = WindowRateLimiter  # type: ignore[assignment]  # its values are typed as its own classes
