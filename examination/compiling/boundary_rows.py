"""Rows where a model's answer changes: next to its decision boundary, and on both sides of trees' thresholds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examination.compiling.random_rows import at_most
from inference.estimators import parts_of
from inference.outputs import Predictions
from inference.rows.inputs import Row

PAIRS = 500
THRESHOLDS = 1_000
STEPS = 64
BISECTION_SECONDS = 20.0

Predict = Callable[[Sequence[Row]], Predictions]


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
    tried = at_most(4 * pairs, len(rows[0]))
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
    for index in random.permutation(len(splits))[: at_most(THRESHOLDS, len(names))]:
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
