"""Whether a row's answer depends on the rows beside it.

It does if a model looks at the whole batch. It does in the last bit if a matrix product adds in another order, and on a
decision boundary that bit decides the label. Rows of different callers are computed together only if rows on the
boundary get the same labels alone and together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.engines import Engine
from inference.outputs import Predictions
from inference.rows.inputs import Row

ALONE_TOLERANCE = 1e-12
COMPILED_ALONE_TOLERANCE = 1e-6


def is_independent(engine: Engine, rows: Sequence[Row]) -> bool:
    """Whether labels are identical alone and together, and numbers within 1e-12, or 1e-6 where it is a graph."""
    together, alone = engine.compute(rows), _alone(engine, rows)
    tolerance = COMPILED_ALONE_TOLERANCE if engine.name == "onnx" else ALONE_TOLERANCE
    return all(is_near(*pair, tolerance) for pair in zip(alone, together, strict=True))


def is_independent_to_the_bit(engine: Engine, rows: Sequence[Row]) -> bool:
    """Whether answers alone and together are identical in every bit."""
    return _alone(engine, rows) == engine.compute(rows)


def _alone(engine: Engine, rows: Sequence[Row]) -> Predictions:
    answers = [engine.compute([row]) for row in rows]
    probabilities = [each.probabilities[0] for each in answers if each.probabilities is not None]
    return Predictions([each.labels[0] for each in answers], probabilities or None)


def is_near(found: Any, expected: Any, tolerance: float = ALONE_TOLERANCE) -> bool:
    """Whether labels are the same and numbers within the tolerance, which is relative for numbers above 1."""
    if isinstance(found, list) and isinstance(expected, list):
        pairs = zip(found, expected, strict=False)
        return len(found) == len(expected) and all(is_near(*pair, tolerance) for pair in pairs)
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= tolerance * max(1.0, abs(expected))
    return bool(found == expected)
