"""Where a version's rows are computed: on the event loop when that takes microseconds, on the pool otherwise."""

from __future__ import annotations

import time
from collections.abc import Sequence

from inference.batching import Lane
from inference.engines import Engine
from inference.inputs import Row
from inference.outputs import Predictions
from inference.pool import Pool

#: A call whose measured cost is less is computed at once: handing it to a thread would cost about as much.
INLINE_SECONDS = 200e-6
_TRIALS = 7
_MANY = 64


class Runner:
    """A version's engine with its place on the pool. `example` is a row that the model can answer."""

    def __init__(
        self, name: str, engine: Engine, pool: Pool, example: Row, *, gathers: bool, max_rows: int,
        patience_seconds: float,
    ) -> None:  # fmt: skip
        self.engine = engine
        #: So many rows are computed on the event loop.
        self.inline_rows = inline_rows(engine, example) if engine.may_hold_the_loop else 0
        self.lane = Lane(
            name, engine.compute, pool, gathers=gathers, max_rows=max_rows, patience_seconds=patience_seconds
        )

    def at_once(self, rows: Sequence[Row]) -> Predictions | None:
        """The predictions, computed here and now if that takes microseconds; None for what belongs in `lane`."""
        return self.engine.compute_at_once(rows) if len(rows) <= self.inline_rows else None


def inline_rows(engine: Engine, example: Row) -> int:
    """How many rows the engine answers in less than `INLINE_SECONDS`, as measured now; this warms it up, too."""
    one, many = _seconds(engine, [example]), _seconds(engine, [example] * _MANY)
    if one > INLINE_SECONDS:
        return 0
    each = max((many - one) / (_MANY - 1), 1e-9)
    return 1 + min(int((INLINE_SECONDS - one) / each), 10 * _MANY)


def _seconds(engine: Engine, rows: list[Row]) -> float:
    """The least of a few trials: what the machine does besides counts for nothing."""
    best = float("inf")
    for _ in range(_TRIALS):
        started = time.perf_counter()
        engine.compute(rows)
        best = min(best, time.perf_counter() - started)
        if best > 100 * INLINE_SECONDS:
            break
    return best
