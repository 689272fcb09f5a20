"""Failures to sign in under names that do not exist, in the Redis that counts limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from auth.sign_in_failures import FAILURES_LAST, Tally
from quotas.shared.store import SharedStore
from quotas.store import StoreUnavailable

_MS = timedelta(milliseconds=1)


class StrangersInRedis:
    """The counters that quotas/shared/count.lua remembers."""

    def __init__(self, store: SharedStore) -> None:
        self._link = store.storage.link

    async def add(self, failures: Mapping[str, Tally]) -> Mapping[str, int]:
        """Adds failures to their counters; those that cannot be added now are left out."""
        counts = {}
        for counter, tally in failures.items():
            last_ms = round(tally.last_at.timestamp() * 1000)
            try:
                counts[counter] = int(await self._link.ask(["add_failures", counter, tally.failures, last_ms]))
            except StoreUnavailable:
                break
        return counts

    async def at(self, counters: Sequence[str]) -> Mapping[str, Tally]:
        """Returns the failures of the last day. Raises `StoreUnavailable`."""
        flat = await self._link.ask(["failures", list(counters)])
        found = {
            counter: Tally(flat[2 * number], datetime.fromtimestamp(0, UTC) + flat[2 * number + 1] * _MS)
            for number, counter in enumerate(counters)
            if flat[2 * number]
        }
        oldest = datetime.now(UTC) - FAILURES_LAST
        return {counter: tally for counter, tally in found.items() if tally.last_at > oldest}
