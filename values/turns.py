"""Turns at costly work: several at once in all, few of them for one caller, and the next one in a fair order.

Take and give back turns on one event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`at_once` turns, at most `of_one` of them for one caller; callers who wait get theirs one after the other."""

    def __init__(self, at_once: int, of_one: int) -> None:
        self._at_once = at_once
        self._of_one = of_one
        self._taken: Counter[str] = Counter()
        #: The waiting calls by caller; the first caller here who may have a turn gets the next one.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, caller: str) -> None:
        """Returns when it is the caller's turn; `give_back` must follow."""
        if caller not in self._waiting and self._may_have(caller):
            self._taken[caller] += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._hand_over()
            else:
                # The turn was handed over while its caller gave up.
                self.give_back(caller)
            raise

    @asynccontextmanager
    async def of(self, caller: str) -> AsyncIterator[None]:
        """Takes a turn for the caller, and gives it back at the end of the block."""
        await self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)

    def give_back(self, caller: str) -> None:
        """Ends a turn, and hands it to the next caller."""
        self._taken[caller] -= 1
        # Keeps no count of callers who have no turn.
        self._taken += Counter()
        self._hand_over()

    def _hand_over(self) -> None:
        while (following := next(filter(self._may_have, self._waiting), None)) is not None:
            queue = self._waiting.pop(following)
            future = queue.popleft()
            if queue:
                self._waiting[following] = queue
            # Passes over calls that have given up.
            if not future.done():
                self._taken[following] += 1
                future.set_result(None)

    def _may_have(self, caller: str) -> bool:
        return self._taken.total() < self._at_once and self._taken[caller] < self._of_one
