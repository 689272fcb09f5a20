"""Turns at work that only a few attempts may do at once, given to networks in a fair order."""

from __future__ import annotations

import asyncio

from auth.fair_queue import FairQueue


class TooManySignIns(Exception):
    """More people wait to sign in, from this network or in all, than may wait."""


class Turns:
    """`at_once` turns at a time, in the order of the queue; all on one event loop."""

    def __init__(self, queue: FairQueue[asyncio.Future[None]], *, at_once: int) -> None:
        self._queue = queue
        self._free = at_once

    async def take(self, network: str) -> None:
        """Waits for a turn, which `end` ends. Raises `TooManySignIns` if the queue has no room for it, or no longer."""
        if self._free and not len(self._queue):
            self._free -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        left = self._queue.put(network, waiting)
        if left is not None and not left.done():
            left.set_exception(TooManySignIns())
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.cancelled():
                self._queue.remove(network, waiting)
            elif waiting.exception() is None:
                # The turn came at the moment at which its caller gave up.
                self.end()
            raise

    def end(self) -> None:
        """Ends a turn; the next one begins."""
        self._free += 1
        while taken := self._queue.take():
            _, waiting = taken
            # One that was cancelled a moment ago has not left the queue yet.
            if not waiting.done():
                self._free -= 1
                waiting.set_result(None)
                return
