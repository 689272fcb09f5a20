"""How many rows the event loop may compute itself: measured for each version when it is loaded."""

from __future__ import annotations

import time

from inference.engines import Engine
from inference.rows.inputs import Row
from inference.rows.schema import RowSchema

#: A call that was measured to cost less is computed on the event loop. A call in which a row is refused is computed
#: twice, and even then the loop is held for less than a millisecond.
INLINE_SECONDS = 400e-6
_TIMES = 7
_MANY = 64


def inline_rows(engine: Engine, schema: RowSchema) -> int:
    """How many rows the engine answers within `INLINE_SECONDS`; this warms it up, too."""
    if not engine.may_hold_the_loop:
        return 0
    row = schema.costliest()
    try:
        one, many = _seconds(engine, [row]), _seconds(engine, [row] * _MANY)
    except Exception:  # noqa: BLE001  a model may raise anything, and a long text is not one that its schema knows
        return 0
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
