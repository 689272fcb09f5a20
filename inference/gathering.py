"""One version's calls off the event loop: started at once when it is idle, gathered into one while it is busy.

A lone caller waits for nobody. While a call of the version runs, those who come join a queue, and the next call takes
all of it; each gets its own rows' answers. Where a gathered call fails, it is taken apart until those whose rows are at
fault fail alone (`faults.py`); their rows are searched for the one at fault in a call of their own, so that nobody else
waits for it. Everything here but the computation itself happens on the event loop, so that there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from inference.faults import Answer, Compute, computed, located
from inference.outputs import ModelRaised, Predictions
from inference.pool import Pool
from inference.rows.inputs import Row
from values.alarms import MODEL_IS_TAKEN_OUT

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


class TakenOut(Exception):
    """The version's calls hung again and again: it computes nothing until it has had time to recover."""


class Hung(Exception):
    """The call that computed these rows has not ended in time."""


class Turn(asyncio.Future[Predictions]):
    """A caller's rows in a lane, and the future of their predictions, `scored` or not.

    Awaiting it raises `NotComputable`, `ModelRaised`, `Hung` or `TakenOut`. `has_begun` says whether the rows'
    computation has begun. The rows of a turn that is cancelled before that are not computed.
    """

    def __init__(self, rows: Sequence[Row], raised: ModelRaised | None = None, *, scored: bool = False) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.rows = rows
        self.scored = scored
        #: How the rows failed, if they were computed and only the one at fault is still to be found.
        self.raised = raised
        self.has_begun = raised is not None

    def end(self, answer: Answer | Hung | TakenOut) -> None:
        if self.done():
            return
        if isinstance(answer, Predictions):
            self.set_result(answer)
        else:
            self.set_exception(answer)
            # Looked at here, so that asyncio does not complain if the caller gave up in the same moment.
            self.exception()

    def refuse(self) -> None:
        self.end(self.raised or TakenOut())


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
    """The calls of one version. `max_rows` bounds what is gathered; without `gathers` each call is computed alone.

    `scored` computes the rows of callers who ask for scores; without it, all are computed alike.
    """

    def __init__(
        self,
        name: str,
        compute: Compute,
        pool: Pool,
        *,
        gathers: bool,
        max_rows: int,
        patience_seconds: float,
        scored: Compute | None = None,
    ) -> None:
        self._name = name
        #: By whether scores are asked for.
        self._computes = {False: compute, True: scored or compute}
        self._pool = pool
        self._gathers = gathers
        self._max_rows = max_rows
        self._patience_seconds = patience_seconds
        self._waiting: deque[Turn] = deque()
        self._runs: set[_Run] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._hangs_in_a_row = 0
        self._out_until = 0.0

    @property
    def is_out(self) -> bool:
        """Whether the version is taken out: its calls hang, and no slot is left or too many hung in a row."""
        return all(run.is_hung for run in self._runs) and (
            len(self._runs) >= SLOTS or (self._hangs_in_a_row >= HANGS_IN_A_ROW and time.monotonic() < self._out_until)
        )

    def ask(self, rows: Sequence[Row], raised: ModelRaised | None = None, *, scored: bool = False) -> Turn:
        """Queues the rows to be computed; of rows that `raised`, the one at fault is searched instead.

        Raises `TakenOut`.
        """
        if self.is_out:
            raise raised or TakenOut
        turn = Turn(rows, raised, scored=scored)
        self._waiting.append(turn)
        self._start()
        return turn

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._has_slot(loop.time()) and (turns := self._take()):
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
        moment = float("inf") if is_careful else GATHER_SECONDS if self._gathers else 0.0
        return all(run.is_hung or now - run.started_at >= moment for run in self._runs)

    def _take(self) -> list[Turn]:
        """The turns that wait and fit into one call, without those that were given up.

        A search for a row at fault is a call by itself.
        """
        turns: list[Turn] = []
        rows = 0
        while self._waiting:
            turn = self._waiting[0]
            if not turn.done():
                rows += len(turn.rows)
                if turns and (rows > self._max_rows or not self._gathers or turn.raised or turns[0].raised):
                    break
                turns.append(turn)
            self._waiting.popleft()
        return turns

    def _work(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of the pool."""
        first = run.turns[0]
        answers: list[Answer]
        if first.raised is not None:
            answers = [located(self._computes[first.scored], first.rows, first.raised)]
        else:
            answers = self._computed(run.turns)
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, run, answers)

    def _computed(self, turns: Sequence[Turn]) -> list[Answer]:
        """An answer for each turn. Callers who ask for scores are computed apart: the others do not pay for them."""
        found: dict[bool, Iterator[Answer]] = {}
        for scored, compute in self._computes.items():
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
        for turn, answer in zip(run.turns, answers, strict=True):
            is_quick = took <= self._patience_seconds * SEARCHED_SHARE
            if isinstance(answer, ModelRaised) and answer.row is None and turn.raised is None and is_quick:
                turn.raised = answer
                self._waiting.append(turn)
            else:
                turn.end(answer)
        self._start()

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
        while self._waiting:
            self._waiting.popleft().refuse()
