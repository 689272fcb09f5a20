"""Computes a version's rows on the event loop if that takes microseconds, and in the pool otherwise."""

from __future__ import annotations

import time
from collections.abc import Sequence

from inference.engines import Engine
from inference.faults import checked, failure_of
from inference.gathering import Lane, Turn
from inference.outputs import ModelRaised, Predictions
from inference.rows.inputs import Row

#: A call that was measured to cost less is computed at once: handing it to a thread would cost about as much.
INLINE_SECONDS = 200e-6
_TIMES = 7
_MANY = 64


class Runner:
    """A version's engine with its lane. `example` is a row that the model can answer."""

    def __init__(self, engine: Engine, lane: Lane, example: Row) -> None:
        self.engine = engine
        self.lane = lane
        #: At most so many rows are computed on the event loop.
        self.inline_rows = inline_rows(engine, example) if engine.may_hold_the_loop else 0

    def answer(self, rows: Sequence[Row], *, scored: bool = False) -> Predictions | Turn:
        """The predictions, computed here and now if that takes microseconds, or the turn to await for them.

        Scores always take a turn: their cost is not measured. Raises `NotComputable`, `ModelRaised` or `TakenOut`.
        Finding which of several rows is at fault takes a call for each halving, and is not for the event loop.
        """
        if scored or len(rows) > self.inline_rows:
            return self.lane.ask(rows, scored=scored)
        try:
            predictions = self.engine.compute_at_once(rows)
            if predictions is not None:
                return checked(predictions, len(rows))
        except Exception as error:  # noqa: BLE001  a model may raise anything
            failure = failure_of(error, rows)
            if not isinstance(failure, ModelRaised) or failure.row is not None:
                raise failure from None
            return self.lane.ask(rows, failure)
        return self.lane.ask(rows)


def inline_rows(engine: Engine, example: Row) -> int:
    """How many rows the engine answers in less than `INLINE_SECONDS`, as measured now; this warms it up, too."""
    one, many = _seconds(engine, [example]), _seconds(engine, [example] * _MANY)
    if one > INLINE_SECONDS:
        return 0
    each = max((many - one) / (_MANY - 1), 1e-9)
    return 1 + min(int((INLINE_SECONDS - one) / each), 10 * _MANY)


def _seconds(engine: Engine, rows: list[Row]) -> float:
    """The least of several measurements: the machine's other work can only add to it."""
    best = float("inf")
    for _ in range(_TIMES):
        started = time.perf_counter()
        engine.compute(rows)
        best = min(best, time.perf_counter() - started)
        if best > 100 * INLINE_SECONDS:
            break
    return best
