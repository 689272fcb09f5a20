"""Takes failed calls apart: first into the callers whose rows are at fault, then to the row itself.

A model's own words never leave: they may hold the rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain

from inference.graphs import BeyondGraph
from inference.outputs import ModelRaised, NotComputable, NotServable, Predictions
from inference.rows.inputs import Row

Compute = Callable[[Sequence[Row]], Predictions]
#: Predictions, and the places of rows that are left to somebody else: their predictions mean nothing.
ComputeAtOnce = Callable[[Sequence[Row]], tuple[Predictions, Sequence[int]]]
Answer = Predictions | NotComputable | ModelRaised


def computed(compute: Compute, parts: Sequence[Sequence[Row]]) -> list[Answer]:
    """An answer for each caller's rows, computed together; what fails together is computed by halves."""
    rows = joined(parts)
    try:
        predictions = checked(compute(rows), len(rows))
    except BaseException as error:  # noqa: BLE001  a model may raise anything, and the thread must survive it
        if len(parts) == 1:
            return [failure_of(error, rows)]
        middle = len(parts) // 2
        return computed(compute, parts[:middle]) + computed(compute, parts[middle:])
    return list(_split(predictions, parts))


def at_once(compute: ComputeAtOnce, parts: Sequence[Sequence[Row]], calls: int = 2) -> list[Answer | None]:
    """The same in so few calls, for the event loop, which must not be held by a search.

    None for the callers whose rows have to be computed elsewhere: `compute` leaves them to the trained model, or the
    model raises on some caller's rows without saying whose.
    """
    rows = joined(parts)
    try:
        predictions, left = compute(rows)
        answers = list(_split(checked(predictions, len(rows)), parts))
    except (NotComputable, BeyondGraph) as error:
        named = _by_part(error.rows, parts)
        others = [part for part, faults in zip(parts, named, strict=True) if not faults]
        found = iter(at_once(compute, others, calls - 1) if others and calls > 1 else [None] * len(others))
        is_fault = isinstance(error, NotComputable)
        return [(NotComputable(faults) if is_fault else None) if faults else next(found) for faults in named]
    except Exception as error:  # noqa: BLE001  a model may raise anything
        return [failure_of(error, rows)] if len(parts) == 1 else [None] * len(parts)
    if not left:
        return [*answers]
    return [None if places else answer for places, answer in zip(_by_part(left, parts), answers, strict=True)]


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


def joined(parts: Sequence[Sequence[Row]]) -> Sequence[Row]:
    """The rows of all callers, one after the other."""
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))


def _split(predictions: Predictions, parts: Sequence[Sequence[Row]]) -> Iterator[Predictions]:
    if len(parts) == 1:
        yield predictions
        return
    labels, probabilities, scores = predictions
    start = 0
    for part in parts:
        end = start + len(part)
        yield Predictions(
            labels[start:end],
            None if probabilities is None else probabilities[start:end],
            None if scores is None else scores[start:end],
        )
        start = end


def _by_part(rows: Sequence[int], parts: Sequence[Sequence[Row]]) -> list[list[int]]:
    """Each caller's own among those rows, counted from the caller's first."""
    ends = list(accumulate(map(len, parts)))
    found: list[list[int]] = [[] for _ in parts]
    for row in rows:
        number = bisect_right(ends, row)
        found[number].append(row - (ends[number - 1] if number else 0))
    return found
