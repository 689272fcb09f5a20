"""Addresses that fail again and again: unknown credentials, unknown paths. Valid keys are served all the same."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from quotas.window import NS, Window
from values.addresses import place_of

#: Failures of one address (IPv6: one /64) in any trailing minute. A key has 190 random bits: this is against noise,
#: not against guessing, and so it leaves room for a misconfigured client behind a shared address.
MAX_FAILURES = 600
WINDOW_SECONDS = 60
MAX_ADDRESSES = 100_000


class TooManyFailures(Exception):
    """This address has failed too often in the last minute."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class FailureThrottle:
    """Counts failures by address; past the limit, further failures are refused as such."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def count(self, address: str) -> None:
        """Counts one failure. Raises `TooManyFailures` if the address has none left."""
        now, place = self._clock(), place_of(address)
        window = self._windows.get(place)
        if window is None:
            if len(self._windows) >= MAX_ADDRESSES:
                self._make_room(now)
            window = self._windows[place] = Window(WINDOW_SECONDS)
        if window.spent(now) >= MAX_FAILURES:
            raise TooManyFailures(max(1, math.ceil(window.grows_in(now) / NS)))
        window.spend(1, now)

    def _make_room(self, now: int) -> None:
        """Forgets the addresses that have been quiet, or the oldest tenth where an attacker brought them all."""
        self._windows = {place: window for place, window in self._windows.items() if window.spent(now)}
        for place in list(self._windows)[: max(0, len(self._windows) - MAX_ADDRESSES * 9 // 10)]:
            del self._windows[place]
