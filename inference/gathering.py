"""One version's calls: those that come together are computed together, and a lone caller waits for nobody.

What the event loop may compute itself is computed in its next iteration, in one call for all that arrived in this one.
The rest goes to a pool of threads. A call starts at once while the version is idle; while one runs, those who come wait
together, and the next call takes all of them. Each caller gets their own rows' answers. Where a gathered call fails, it
is taken apart until those whose rows are at fault fail alone (`faults.py`). The row at fault is searched in a call of
its own, so that nobody else waits for it. Everything but the pool's computations happens on the event loop, so that
there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

from inference.engines import Engine
from inference.faults import Answer, at_once, computed, located
from inference.outputs import ModelRaised
from inference.pool import Pool
from inference.rows.inputs import Row
from inference.waiting import Busy, Hung, TakenOut, Turn, WaitingTurns
from values.alarms import MODEL_IS_TAKEN_OUT
from values.pace import Pace

logger = logging.getLogger("adyton.inference")

#: A version may have so many computations at once; those that hang count until they end.
SLOTS = 2
#: A call that runs for longer is no reason to wait for it: the next one starts beside it.
GATHER_SECONDS = 0.05
#: A call that runs for longer gets a thread of its own: other versions do not wait for it.
LONG_SECONDS = 1.0
#: So many calls that hang one after another take a version out, and for so long.
HANGS_IN_A_ROW = 3
OUT_SECONDS = 60.0
#: A call that failed after a greater share of the patience is not searched: the answer would come too late.
SEARCHED_SHARE = 0.25


class _Run:
    """One computation on the pool, for one caller or several."""

    __slots__ = ("alarm", "is_hung", "is_replaced", "started_at", "turns")

    def __init__(self, turns: list[Turn], started_at: float) -> None:
        self.turns = turns
        self.started_at = started_at
        self.is_replaced = False
        self.is_hung = False
        #: Rings when the call has become long, and again when it hangs.
        self.alarm: asyncio.TimerHandle | None = None


class Lane:
    """The calls of one version, in the event loop for callers with at most `inline_rows` rows.

    That and `max_rows` bound what is gathered there and in the pool; without `gathers` each caller's rows are computed
    alone. Rows that are asked for with scores go to the pool: their cost is not measured.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        pool: Pool,
        *,
        gathers: bool,
        max_rows: int,
        patience_seconds: float,
        inline_rows: int = 0,
    ) -> None:
        self.inline_rows = inline_rows
        self._name = name
        self._engine = engine
        self._pool = pool
        #: How many rows one call takes, on the event loop and in the pool.
        self._here, self._there = (inline_rows, max_rows) if gathers else (0, 0)
        self._moment = GATHER_SECONDS if gathers else 0.0
        self._patience_seconds = patience_seconds
        self._arrived = WaitingTurns()
        self._waiting = WaitingTurns()
        self._runs: set[_Run] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._pace = Pace()
        self._hangs_in_a_row = 0
        self._out_until = 0.0

    @property
    def is_out(self) -> bool:
        """Whether the version is taken out: its calls hang, and no slot is left or too many hung in a row."""
        return all(run.is_hung for run in self._runs) and (
            len(self._runs) >= SLOTS or (self._hangs_in_a_row >= HANGS_IN_A_ROW and time.monotonic() < self._out_until)
        )

    def ask(
        self,
        rows: Sequence[Row],
        owner: str = "",
        *,
        scored: bool = False,
        hung_up: Callable[[], Awaitable[None]] | None = None,
    ) -> Turn:
        """Queues the rows to be computed. Owners take turns where not all can be computed together.

        Raises `TakenOut`, or `Busy` where they could not be computed in time.
        """
        if self.is_out:
            raise TakenOut
        turn = Turn(rows, owner, scored=scored, hung_up=hung_up)
        if scored or len(rows) > self.inline_rows:
            wait = self._pace.wait_seconds(self._waiting.calls(self._there))
            if wait >= self._patience_seconds:
                raise Busy(wait)
            self._hand_over(turn)
            self._start()
        else:
            if not self._arrived:
                asyncio.get_running_loop().call_soon(self._tick)
            self._arrived.add(turn)
        return turn

    def _tick(self) -> None:
        """Computes what has arrived; what is too much for one call waits for the loop's next iteration."""
        turns = self._arrived.take(self._here)
        if self._arrived:
            asyncio.get_running_loop().call_soon(self._tick)
        if turns:
            answers = at_once(self._engine.compute_at_once, [turn.rows for turn in turns])
            for turn, answer in zip(turns, answers, strict=True):
                if answer is None:
                    self._hand_over(turn)
                else:
                    self._settle(turn, answer)
            self._start()

    def _hand_over(self, turn: Turn) -> None:
        """Has the turn wait for the pool."""
        turn.listen()
        self._waiting.add(turn)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._has_slot(loop.time()) and (turns := self._waiting.take(self._there)):
            run = _Run(turns, loop.time())
            self._runs.add(run)
            for turn in turns:
                turn.has_begun = True
            run.alarm = loop.call_later(min(LONG_SECONDS, self._patience_seconds), self._grow_long, run)
            self._pool.submit(partial(self._work, run, loop))
        if self._waiting and self._alarm is None and len(self._runs) < SLOTS:
            # Callers wait for a running call for a moment only; a lone caller costs no alarm.
            self._alarm = loop.call_later(GATHER_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._alarm = None
        self._start()

    def _has_slot(self, now: float) -> bool:
        if len(self._runs) >= SLOTS:
            return False
        # After too many hangs one call at a time is tried.
        is_careful = self._hangs_in_a_row >= HANGS_IN_A_ROW
        moment = float("inf") if is_careful else self._moment
        return all(run.is_hung or now - run.started_at >= moment for run in self._runs)

    def _work(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of the pool."""
        first = run.turns[0]
        answers: list[Answer]
        if first.raised is not None:
            compute = self._engine.compute_scored if first.scored else self._engine.compute
            answers = [located(compute, first.rows, first.raised)]
        else:
            answers = self._computed(run.turns)
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, run, answers)

    def _computed(self, turns: Sequence[Turn]) -> list[Answer]:
        """An answer for each turn. Callers who ask for scores are computed apart: the others do not pay for them."""
        found: dict[bool, Iterator[Answer]] = {}
        for scored, compute in ((False, self._engine.compute), (True, self._engine.compute_scored)):
            parts = [turn.rows for turn in turns if turn.scored is scored]
            found[scored] = iter(computed(compute, parts) if parts else [])
        return [next(found[turn.scored]) for turn in turns]

    def _finish(self, run: _Run, answers: list[Answer]) -> None:
        if run.alarm is not None:
            run.alarm.cancel()
        self._runs.discard(run)
        if run.is_replaced:
            self._pool.take_back_one()
        if run.is_hung:
            logger.warning("a call of %s that hung has ended", self._name)
        else:
            self._hangs_in_a_row = 0
        took = asyncio.get_running_loop().time() - run.started_at
        self._pace.took(took)
        for turn, answer in zip(run.turns, answers, strict=True):
            self._settle(turn, answer, may_search=took <= self._patience_seconds * SEARCHED_SHARE)
        self._start()

    def _settle(self, turn: Turn, answer: Answer, *, may_search: bool = True) -> None:
        """Ends the turn, or has the row at fault searched in the pool: that takes a call for each halving."""
        if may_search and isinstance(answer, ModelRaised) and answer.row is None and turn.raised is None:
            turn.raised, turn.has_begun = answer, True
            self._hand_over(turn)
        else:
            turn.end(answer)

    def _grow_long(self, run: _Run) -> None:
        run.is_replaced = self._pool.replace_one()
        left = self._patience_seconds - LONG_SECONDS
        run.alarm = asyncio.get_running_loop().call_later(max(0.0, left), self._give_up, run)

    def _give_up(self, run: _Run) -> None:
        """Ends the turns of a call that took longer than any request may: it cannot be stopped."""
        run.is_hung = True
        run.is_replaced = run.is_replaced or self._pool.replace_one(is_hung=True)
        self._hangs_in_a_row += 1
        self._out_until = time.monotonic() + OUT_SECONDS
        logger.error("a call of %s has not ended in %g s", self._name, self._patience_seconds)
        for turn in run.turns:
            turn.end(turn.raised or Hung())
        if self.is_out:
            logger.critical("%s %s: its calls hang again and again", self._name, MODEL_IS_TAKEN_OUT)
            self._refuse_all()
        self._start()

    def _refuse_all(self) -> None:
        for turn in self._waiting.take_all():
            turn.refuse()
