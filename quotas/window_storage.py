"""Windows in the memory of one process, as a storage of `limits` that slowapi's Limiter can own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from limits.storage import Storage

from quotas.calendar import CalendarWindow
from quotas.store import Meter, Trailing
from quotas.window import NS, Window

SCHEME = "adyton+memory"
MIN_SWEEP = 4_096


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
