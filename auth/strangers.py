"""Failures to sign in under names that do not exist, counted once for all processes, like those under names that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from auth.sign_in_failures import Tally


class Strangers(Protocol):
    """Remembers the counters that failed last. They are not in the database, which strangers could fill."""

    async def add(self, failures: Mapping[str, Tally]) -> Mapping[str, int]:
        """Adds failures to their counters; returns the number under each by now, without those that cannot be added."""
        ...

    async def at(self, counters: Sequence[str]) -> Mapping[str, Tally]:
        """Returns what is remembered under these counters. Raises where that cannot be known."""
        ...
