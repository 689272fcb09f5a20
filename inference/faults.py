"""Takes failed calls apart: first into the callers whose rows are at fault, then to the row itself.

A model's own words never leave: they may hold the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from inference.outputs import ModelRaised, NotComputable, NotServable, Predictions
from inference.rows.inputs import Row

Compute = Callable[[Sequence[Row]], Predictions]
Answer = Predictions | NotComputable | ModelRaised


def computed(compute: Compute, parts: Sequence[Sequence[Row]]) -> list[Answer]:
    """An answer for each caller's rows, computed together; what fails together is computed by halves."""
    rows: Sequence[Row] = parts[0] if len(parts) == 1 else [row for part in parts for row in part]
    try:
        predictions = checked(compute(rows), len(rows))
    except BaseException as error:  # noqa: BLE001  a model may raise anything, and the thread must survive it
        if len(parts) == 1:
            return [failure_of(error, rows)]
        middle = len(parts) // 2
        return computed(compute, parts[:middle]) + computed(compute, parts[middle:])
    return list(_split(predictions, [len(part) for part in parts]))


def checked(predictions: Predictions, rows: int) -> Predictions:
    """The same predictions. Raises `NotServable` unless there is one for each row."""
    labels, probabilities, scores = predictions
    if (
        len(labels) != rows
        or (probabilities is not None and len(probabilities) != rows)
        or (scores is not None and len(scores) != rows)
    ):
        raise NotServable("it does not answer once for each row")
    return predictions


def failure_of(error: BaseException, rows: Sequence[Row]) -> NotComputable | ModelRaised:
    """The fact behind an error on one caller's rows; a single row is itself the one at fault."""
    if isinstance(error, NotComputable):
        return error
    return ModelRaised(0 if len(rows) == 1 else None, type(error).__name__)


def located(compute: Compute, rows: Sequence[Row], raised: ModelRaised) -> ModelRaised:
    """The same failure with the first row that fails alone, if one does.

    `rows` failed together. They are searched by halves, which computes at most as many rows again as there are: if the
    first half does not fail, the second must. The row that is left is computed by itself.
    """
    start, end, is_known = 0, len(rows), len(rows) == 1
    while end - start > 1:
        middle = (start + end) // 2
        if _fails(compute, rows[start:middle]):
            end, is_known = middle, middle - start == 1
        else:
            start, is_known = middle, False
    is_found = is_known or _fails(compute, rows[start:end])
    return ModelRaised(start if is_found else None, raised.kind)


def _fails(compute: Compute, rows: Sequence[Row]) -> bool:
    try:
        checked(compute(rows), len(rows))
    except BaseException:  # noqa: BLE001  a model may raise anything, and the thread must survive it
        return True
    return False


def _split(predictions: Predictions, counts: Sequence[int]) -> Iterator[Predictions]:
    if len(counts) == 1:
        yield predictions
        return
    labels, probabilities, scores = predictions
    start = 0
    for count in counts:
        end = start + count
        yield Predictions(
            labels[start:end],
            None if probabilities is None else probabilities[start:end],
            None if scores is None else scores[start:end],
        )
        start = end
