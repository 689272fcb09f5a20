"""One version's calls off the event loop: started at once when it is idle, gathered into one while it is busy.

A lone caller waits for nobody. While a call of the version runs, those who come join a queue, and the next call takes
all of it; each gets its own rows' answers. Where a gathered call fails, it is taken apart until those whose rows are at
fault fail alone. Everything here but the computation itself happens on the event loop, so that there is nothing to
lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from inference.inputs import Row
from inference.outputs import Predictions
from inference.pool import Pool

logger = logging.getLogger("adyton.inference")

#: A version may have so many computations at once; those that hang count until they end.
PLACES = 2
#: A call that runs for longer is no reason to wait for it: the next one starts beside it.
GATHER_SECONDS = 0.05
#: A call that runs for longer gets a thread of its own: other versions do not wait for it.
LONG_SECONDS = 1.0
#: So many calls that hang one after another take a version out, and for so long.
HANGS_IN_A_ROW = 3
OUT_SECONDS = 60.0

Compute = Callable[[Sequence[Row]], Predictions]


class TakenOut(Exception):
    """The version's calls hung again and again: it is not asked until it has had time to recover."""


class _Item:
    """A caller's rows, and the future on which the caller waits."""

    __slots__ = ("future", "rows")

    def __init__(self, rows: Sequence[Row], future: asyncio.Future[Predictions]) -> None:
        self.rows, self.future = rows, future


class _Run:
    """One computation on the pool, for one caller or several."""

    __slots__ = ("alarm", "is_hung", "is_replaced", "items", "started_at")

    def __init__(self, items: list[_Item], started_at: float) -> None:
        self.items = items
        self.started_at = started_at
        self.is_replaced = False
        self.is_hung = False
        #: Rings when it has become long, and then when it hangs.
        self.alarm: asyncio.TimerHandle | None = None


class Lane:
    """The calls of one version. `max_rows` bounds what is gathered; without `gathers` each call is computed alone."""

    def __init__(
        self, name: str, compute: Compute, pool: Pool, *, gathers: bool, max_rows: int, patience_seconds: float
    ) -> None:
        self._name = name
        self._compute = compute
        self._pool = pool
        self._gathers = gathers
        self._max_rows = max_rows
        self._patience_seconds = patience_seconds
        self._waiting: deque[_Item] = deque()
        self._runs: set[_Run] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._hangs_in_a_row = 0
        self._out_until = 0.0

    @property
    def is_out(self) -> bool:
        """Whether the version has been taken out: its calls hang, and there is no place left or no trust."""
        return all(run.is_hung for run in self._runs) and (
            len(self._runs) >= PLACES or (self._hangs_in_a_row >= HANGS_IN_A_ROW and time.monotonic() < self._out_until)
        )

    async def run(self, rows: Sequence[Row]) -> Predictions:
        """The predictions for the rows, as the model gives them to these alone.

        Raises `TakenOut`, or what the model raises. Whoever gives up waiting (is cancelled) frees their place.
        """
        if self.is_out:
            raise TakenOut
        item = _Item(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._start()
        return await item.future

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._has_place(loop.time()) and (items := self._take()):
            run = _Run(items, loop.time())
            self._runs.add(run)
            run.alarm = loop.call_later(min(LONG_SECONDS, self._patience_seconds), self._grow_long, run)
            self._pool.submit(partial(self._work, run, loop))
        if self._waiting and self._alarm is None and len(self._runs) < PLACES:
            # Whoever waits for a call waits a moment only; a lone caller costs no alarm.
            self._alarm = loop.call_later(GATHER_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._alarm = None
        self._start()

    def _has_place(self, now: float) -> bool:
        if len(self._runs) >= PLACES:
            return False
        # After too many hangs one call at a time is tried.
        is_careful = self._hangs_in_a_row >= HANGS_IN_A_ROW
        moment = float("inf") if is_careful else GATHER_SECONDS if self._gathers else 0.0
        return all(run.is_hung or now - run.started_at >= moment for run in self._runs)

    def _take(self) -> list[_Item]:
        """Those who wait, as far as their rows fit into one call, without those who have given up."""
        items: list[_Item] = []
        rows = 0
        while self._waiting:
            item = self._waiting[0]
            if not item.future.done():
                rows += len(item.rows)
                if items and (rows > self._max_rows or not self._gathers):
                    break
                items.append(item)
            self._waiting.popleft()
        return items

    def _work(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of the pool."""
        answers = _computed(self._compute, [item.rows for item in run.items])
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, run, answers)

    def _finish(self, run: _Run, answers: list[Predictions | Exception]) -> None:
        if run.alarm is not None:
            run.alarm.cancel()
        self._runs.discard(run)
        if run.is_replaced:
            self._pool.take_back_one()
        if run.is_hung:
            logger.warning("a call of %s that hung has ended", self._name)
        else:
            self._hangs_in_a_row = 0
        for item, answer in zip(run.items, answers, strict=True):
            if item.future.done():
                continue
            if isinstance(answer, Exception):
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)
        self._start()

    def _grow_long(self, run: _Run) -> None:
        run.is_replaced = self._pool.replace_one()
        left = self._patience_seconds - LONG_SECONDS
        run.alarm = asyncio.get_running_loop().call_later(max(0.0, left), self._give_up, run)

    def _give_up(self, run: _Run) -> None:
        """A call has taken longer than any request may: nobody waits for it any more, and it cannot be stopped."""
        run.is_hung = True
        run.is_replaced = run.is_replaced or self._pool.replace_one(is_hung=True)
        self._hangs_in_a_row += 1
        self._out_until = time.monotonic() + OUT_SECONDS
        logger.error("a call of %s has not ended in %g s", self._name, self._patience_seconds)
        for item in run.items:
            if not item.future.done():
                item.future.set_exception(TakenOut())
        if self.is_out:
            logger.critical("%s is taken out: its calls hang again and again", self._name)
            self._refuse_all()
        self._start()

    def _refuse_all(self) -> None:
        while self._waiting:
            item = self._waiting.popleft()
            if not item.future.done():
                item.future.set_exception(TakenOut())


def _computed(compute: Compute, parts: list[Sequence[Row]]) -> list[Predictions | Exception]:
    """An answer or an exception for each part; what fails together is computed by halves."""
    rows: Sequence[Row] = parts[0] if len(parts) == 1 else [row for part in parts for row in part]
    try:
        predictions = compute(rows)
    except Exception as error:  # noqa: BLE001  a model may raise anything
        if len(parts) == 1:
            return [error]
        middle = len(parts) // 2
        return _computed(compute, parts[:middle]) + _computed(compute, parts[middle:])
    return [predictions] if len(parts) == 1 else list(_split(predictions, [len(part) for part in parts]))


def _split(predictions: Predictions, counts: Sequence[int]) -> Any:
    start = 0
    for count in counts:
        end = start + count
        labels, probabilities = predictions
        yield Predictions(labels[start:end], None if probabilities is None else probabilities[start:end])
        start = end
