"""Throttles addresses that fail again and again, with unknown credentials or paths; valid keys are still served."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from quotas.window import NS, Window
from values.addresses import network_of

#: Failures of one address (IPv6: one /64) in any trailing minute. A key has 190 random bits: this limit is against
#: noise and not against guessing, and leaves room for a misconfigured client behind a shared address.
MAX_FAILURES = 600
WINDOW_SECONDS = 60
MAX_ADDRESSES = 100_000


class TooManyFailures(Exception):
    """This address has failed too often in the last minute."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class FailureThrottle:
    """Counts failures by address; past the limit it refuses further failures as too many."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def count(self, address: str) -> None:
        """Counts one failure. Raises `TooManyFailures` if the address has no failure left."""
        now, network = self._clock(), network_of(address)
        window = self._windows.get(network)
        if window is None:
            if len(self._windows) >= MAX_ADDRESSES:
                self._make_room(now)
            window = self._windows[network] = Window(WINDOW_SECONDS)
        if window.spent(now) >= MAX_FAILURES:
            raise TooManyFailures(max(1, math.ceil(window.grows_in(now) / NS)))
        window.spend(1, now)

    def _make_room(self, now: int) -> None:
        """Forgets addresses without a recent failure or, if an attacker keeps all of them busy, the oldest tenth."""
        self._windows = {network: window for network, window in self._windows.items() if window.spent(now)}
        for network in list(self._windows)[: max(0, len(self._windows) - MAX_ADDRESSES * 9 // 10)]:
            del self._windows[network]
