"""Throttles addresses that fail again and again, with unknown credentials or paths; valid keys are still served."""

from __future__ import annotations

import math

from quotas.store import Meter, Refused, Store, StoreUnavailable, Trailing
from quotas.window import NS
from values.addresses import network_of

#: Failures of one address (IPv6: one /64) in any trailing minute. A key has 190 random bits: this limit is against
#: noise and not against guessing, and leaves room for a misconfigured client behind a shared address.
MAX_FAILURES = 600
WINDOW_SECONDS = 60
#: A store in memory remembers at most so many addresses.
MAX_ADDRESSES = 100_000


class TooManyFailures(Exception):
    """This address has failed too often in the last minute."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class FailureThrottle:
    """Counts failures by address; past the limit it refuses further failures as too many."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, address: str) -> None:
        """Counts one failure. Raises `TooManyFailures` if the address has no failure left."""
        meter = Meter(f"failures:{network_of(address)}", MAX_FAILURES, Trailing(WINDOW_SECONDS))
        try:
            outcome = await self._store.charge([meter], 1)
        except StoreUnavailable:
            # The request is refused either way, and who cannot be counted guesses at 190 bits in vain.
            return
        if isinstance(outcome, Refused):
            raise TooManyFailures(max(1, math.ceil(outcome.wait_ns / NS)))
