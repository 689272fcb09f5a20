"""Rows on which a compiled model is compared with the trained one: where models that differ would show it.

Random rows show almost nothing: a logistic regression compiled in float32 agreed on 200,000 of them, and changed its
label on a third of the rows that lay on its decision boundary. So rows are placed there, by bisection between rows
that the trained model tells apart, until no number lies between the two; and on both sides of trees' thresholds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines import Engine, TrainedEngine
from inference.estimators import parts_of
from inference.features import example_of, is_nullable, is_text, is_valid, kind_of
from inference.inputs import Row
from inference.outputs import NotComputable, Predictions

SAMPLE_ROWS = 2_000
RANDOM_ROWS = 2_000
PAIRS = 500
#: A model that is not compiled is asked one of so many rows: they only show whether rows depend on each other.
SMALL_SHARE = 10
THRESHOLDS = 1_000
#: A model of very many features is asked fewer rows, so that all together have no more values than these.
MAX_VALUES = 2_000_000
STEPS = 64
TIES_OF = 8
SEED = 20260101
BISECTION_SECONDS = 20.0
#: A model that refuses many rows is asked so often while they are searched for; what is then left is not asked.
MAX_CALLS = 200
_NULL_SHARE = 0.1
_DEFAULT_RANGES = ((-1.0, 1.0), (-100.0, 100.0), (0.0, 10_000.0))

Properties = Mapping[str, Mapping[str, Any]]
Predict = Callable[[Sequence[Row]], Predictions]


@dataclass(frozen=True, slots=True)
class Probes:
    """Rows that the trained model answers: of the sample, random, around thresholds, and on decision boundaries.

    `raises` says that the model raised an error on other such rows, which are left out.
    """

    sample: list[Row]
    random: list[Row]
    threshold: list[Row]
    boundary: list[Row]
    raises: bool

    @property
    def rows(self) -> list[Row]:
        return [*self.sample, *self.random, *self.threshold, *self.boundary]

    @property
    def near_ties(self) -> list[Row]:
        """Several of the rows on boundaries."""
        return self.boundary[::TIES_OF]


def probes_of(
    estimator: Any, properties: Properties, sample: Sequence[Row], trained: TrainedEngine, *, is_compiled: bool
) -> Probes:
    """Rows on which a compiled model is compared with the trained one; fewer of them if it will not be compiled."""
    numbers = [name for name, spec in properties.items() if kind_of(name, spec) == "number" and "enum" not in spec]
    random = np.random.default_rng(SEED)
    share = 1 if is_compiled else SMALL_SHARE
    asked = _Asked(trained)
    some = asked.answerable([sample[index] for index in random.permutation(len(sample))[: SAMPLE_ROWS // share]])
    drawn = asked.answerable(random_rows(properties, sample, random)[: RANDOM_ROWS // share])
    near = some if len(some) > 1 else drawn
    if not near:
        return Probes(some, [], [], [], raises=asked.raised)
    threshold: list[Row] = []
    if is_compiled:
        threshold = threshold_rows(estimator, list(properties), near, random)
        threshold += asked.boundary(numbers, near, random, PAIRS, single=True)
    boundary: list[Row] = []
    if not is_of_numbers(trained.compute(near[:1])):
        boundary = asked.boundary(numbers, near, random, PAIRS // share, single=False)
    threshold, boundary = asked.answerable(threshold), asked.answerable(boundary)
    return Probes(some, drawn, threshold, boundary, raises=asked.raised)


class _Asked:
    """A trained model, and whether it has raised an error on a row that its schema allows."""

    def __init__(self, trained: TrainedEngine) -> None:
        self._trained = trained
        self.raised = False

    def answerable(self, rows: list[Row]) -> list[Row]:
        found, raised = answerable(self._trained, rows)
        self.raised = self.raised or raised
        return found

    def boundary(
        self, numbers: Sequence[str], rows: Sequence[Row], random: np.random.Generator, pairs: int, *, single: bool
    ) -> list[Row]:
        try:
            return boundary_rows(self._trained.compute, numbers, rows, random, pairs, single=single)
        except NotComputable:
            return []
        except Exception:  # noqa: BLE001  a model may raise anything, also on rows between rows that it answers
            self.raised = True
            return []


def is_of_numbers(predictions: Predictions) -> bool:
    """Whether the predictions are numbers, and not labels."""
    label = predictions.labels[0]
    first = label[0] if isinstance(label, list) else label
    return predictions.probabilities is None and isinstance(first, float)


def answerable(trained: Engine, rows: list[Row]) -> tuple[list[Row], bool]:
    """Those rows that the trained model answers with numbers, and whether it raises an error on others.

    Rows that make it raise are searched for by halves.
    """
    calls, raised, found = 0, False, []
    waiting = [rows] if rows else []
    while waiting and calls < MAX_CALLS:
        some, calls = waiting.pop(), calls + 1
        try:
            trained.compute(some)
        except NotComputable as beyond:
            left_out = set(beyond.rows)
            kept = [row for index, row in enumerate(some) if index not in left_out]
            waiting += [kept] if kept and left_out else []
        except Exception:  # noqa: BLE001  a model may raise anything
            raised, half = True, len(some) // 2
            waiting += [some[half:], some[:half]] if half else []
        else:
            found += some
    return found, raised


def random_rows(properties: Properties, sample: Sequence[Row], random: np.random.Generator) -> list[Row]:
    """Rows that the schema allows, in and around the observed values, with unknown categories and nulls among them."""
    count = _at_most(RANDOM_ROWS, len(properties))
    columns = {
        name: _random_values(name, spec, [row[name] for row in sample], random, count)
        for name, spec in properties.items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _at_most(rows: int, features: int) -> int:
    """So many rows, or as many as `MAX_VALUES` leaves room for."""
    return min(rows, max(1, MAX_VALUES // features))


def _random_values(
    name: str, spec: Mapping[str, Any], seen: list[Any], random: np.random.Generator, count: int
) -> list[Any]:
    kind = kind_of(name, spec)
    values: list[Any]
    if "enum" in spec or is_text(spec) or kind == "boolean":
        choices = _choices(spec, seen, kind)
        values = [choices[index] for index in random.integers(0, len(choices), count)]
    else:
        values = _numbers(spec, seen, random, count, whole=kind == "integer")
    is_one, example = is_valid(name, spec), example_of(name, spec)
    values = [value if is_one(value) else example for value in values]
    if is_nullable(spec):
        values = [None if random.random() < _NULL_SHARE else value for value in values]
    return values


def _choices(spec: Mapping[str, Any], seen: list[Any], kind: str) -> list[Any]:
    if kind == "boolean":
        return [True, False]
    listed = spec.get("enum") or spec.get("x-categories") or sorted({value for value in seen if value is not None})
    return list(listed) if "enum" in spec else [*listed, "", "unheard of", "ÄÖ ß 中文"]


def _numbers(
    spec: Mapping[str, Any], seen: list[Any], random: np.random.Generator, count: int, *, whole: bool
) -> list[Any]:
    known = [value for value in seen if value is not None] or spec.get("x-observed")
    if known:
        low, high = min(known), max(known)
        around = (high - low) * 0.25 or abs(low) * 0.25 or 1.0
        drawn = random.uniform(low - around, high + around, count)
    else:
        low = spec.get("minimum", spec.get("exclusiveMinimum"))
        high = spec.get("maximum", spec.get("exclusiveMaximum"))
        ranges: Sequence[Any] = [(low, high)] if low is not None and high is not None else _DEFAULT_RANGES
        drawn = np.concatenate([random.uniform(least, most, count) for least, most in ranges])
        drawn = random.choice(drawn, count)
    return [int(value) for value in np.rint(drawn)] if whole else [float(value) for value in drawn]


def boundary_rows(
    predict: Predict,
    numbers: Sequence[str],
    rows: Sequence[Row],
    random: np.random.Generator,
    pairs: int = PAIRS,
    *,
    single: bool,
) -> list[Row]:
    """Neighbouring rows between which the trained model's answer changes.

    They lie on the straight line between rows with different labels. With `single`, they lie between rows that differ
    in a single number and in any part of the answer: that finds a tree's thresholds behind whatever comes before it.
    """
    if not numbers or len(rows) < 2:
        return []
    tried = _at_most(4 * pairs, len(rows[0]))
    here = [rows[index] for index in random.integers(0, len(rows), tried)]
    there = [rows[index] for index in random.integers(0, len(rows), tried)]
    if single:
        moved = [numbers[index] for index in random.integers(0, len(numbers), len(here))]
        there = [{**row, name: other[name]} for row, other, name in zip(here, there, moved, strict=True)]
    start, end = _matrix(here, numbers), _matrix(there, numbers)
    whole = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    answers = _told(predict(here), labels_only=not single)
    others = _told(predict(_moved(here, numbers, end)), labels_only=not single)
    chosen = [i for i in np.flatnonzero(whole) if answers[i] != others[i]][:pairs]
    if not chosen:
        return []
    base, near = [here[i] for i in chosen], [answers[i] for i in chosen]

    def is_near(numbers_at: NDArray[np.float64]) -> NDArray[np.bool_]:
        found = _told(predict(_moved(base, numbers, numbers_at)), labels_only=not single)
        return np.array([ours == theirs for ours, theirs in zip(found, near, strict=True)])

    low, high = _bisected(is_near, start[chosen], end[chosen])
    return _moved(base, numbers, low) + _moved(base, numbers, high)


def _bisected(
    is_near: Callable[[NDArray[np.float64]], NDArray[np.bool_]], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of lines, of shape (lines, numbers), moved towards each other until they are neighbours.

    `is_near` takes a point on each line, and says whether the answer there is still the one at its low end.
    """
    deadline = time.monotonic() + BISECTION_SECONDS
    for _ in range(STEPS):
        middle = low + (high - low) / 2
        if ((middle == low) | (middle == high)).all() or time.monotonic() > deadline:
            break
        same = is_near(middle)[:, None]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low, high


def threshold_rows(estimator: Any, names: Sequence[str], rows: Sequence[Row], random: np.random.Generator) -> list[Row]:
    """Rows at the thresholds of trees that see the features themselves, and at the nearest numbers to either side."""
    trees = [part.tree_ for part in parts_of(estimator) if hasattr(part, "tree_")]
    if not trees or hasattr(estimator, "steps") or any(tree.n_features != len(names) for tree in trees):
        return []
    splits = [
        (int(feature), float(threshold))
        for tree in trees
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True)
        if feature >= 0
    ]
    if not splits:
        return []
    placed: list[Row] = []
    for index in random.permutation(len(splits))[: _at_most(THRESHOLDS, len(names))]:
        feature, threshold = splits[index]
        row = rows[int(random.integers(0, len(rows)))]
        narrow = np.float32(threshold)
        for at in (np.float64(threshold), narrow):
            least, most = at.dtype.type(-np.inf), at.dtype.type(np.inf)
            beside = (at, np.nextafter(at, least), np.nextafter(at, most))
            placed += [{**row, names[feature]: float(value)} for value in beside]
    return placed


def _told(predictions: Predictions, *, labels_only: bool) -> list[Any]:
    if labels_only or predictions.probabilities is None:
        return predictions.labels
    return list(zip(predictions.labels, map(tuple, predictions.probabilities), strict=True))


def _matrix(rows: Sequence[Row], numbers: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[row[name] for name in numbers] for row in rows], dtype=np.float64)


def _moved(rows: Sequence[Row], numbers: Sequence[str], values: NDArray[np.float64]) -> list[Row]:
    return [{**row, **dict(zip(numbers, moved, strict=True))} for row, moved in zip(rows, values.tolist(), strict=True)]
