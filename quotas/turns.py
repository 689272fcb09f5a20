"""Turns at what few may do at once: each holder has few of its own, so that one cannot keep all the others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `each` at once for one holder, and `total` for all; holders wait in the order in which they came."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._total = asyncio.Semaphore(total)
        #: Of holders that have a turn or wait for one: their own turns, and how many want one.
        self._own: dict[str, tuple[asyncio.Semaphore, int]] = {}

    def __len__(self) -> int:
        """How many holders have a turn or wait for one."""
        return len(self._own)

    @asynccontextmanager
    async def of(self, holder: str) -> AsyncIterator[None]:
        """One turn of that holder's."""
        own, wanting = self._own.get(holder) or (asyncio.Semaphore(self._each), 0)
        self._own[holder] = own, wanting + 1
        try:
            # First among its own, so that a busy holder has no more than `each` in the common queue.
            async with own, self._total:
                yield
        finally:
            left = self._own[holder][1] - 1
            if left:
                self._own[holder] = own, left
            else:
                del self._own[holder]
