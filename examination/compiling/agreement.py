"""A compiled model's answers beside the trained one's: how far apart they are, and how labels follow from scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from examination.compiling.probe_rows import is_of_numbers
from inference.engines import LABEL_TYPES
from inference.graphs import GraphAnswer
from inference.outputs import Predictions
from inference.ties import Tie

RELATIVE_TOLERANCE = 1e-5
#: Numbers nearer to each other than this count as the same: no answer means so little.
ABSOLUTE_TOLERANCE = 1e-9
LEAST_TIE_MARGIN = 1e-9


class Disagrees(Exception):
    """The compiled model answers otherwise than the trained one; says how."""


class Agreement(NamedTuple):
    """The largest differences of numbers, relative and absolute; for labels, how they are chosen and their type."""

    largest_difference: float
    largest_absolute_difference: float
    tie: Tie | None = None
    label_type: str = ""


def agreement(found: GraphAnswer, trained: Predictions, scores: NDArray[Any] | None) -> Agreement:
    """How far apart their answers, and the `scores` behind those, are. Raises `Disagrees` if they are too far."""
    if is_of_numbers(trained):
        return _difference(np.asarray(found.labels, float), np.asarray(trained.labels, float))
    mismatches = np.array([ours != theirs for ours, theirs in zip(found.labels, trained.labels, strict=True)])
    if found.scores is None:
        raise Disagrees("its labels come without scores, so that ties cannot be told")
    if trained.probabilities is None:
        rule, differences = _rule_of(found, trained), Agreement(0.0, _apart(found.scores, scores))
    else:
        rule, differences = "argmax", _difference(found.scores, np.asarray(trained.probabilities))
    tie = Tie(rule, max(LEAST_TIE_MARGIN, 4 * differences.largest_absolute_difference))
    mismatches[tie.near(found.scores)] = False
    if count := int(mismatches.sum()):
        raise Disagrees(f"{count} labels of {len(mismatches)} differ")
    return differences._replace(tie=tie, label_type=_label_type(found.labels[0], trained.labels[0]))


def _label_type(found: Any, trained: Any) -> str:
    """The type to give labels back in, since a graph has no truth values. Raises `Disagrees` for other pairs."""
    kind = type(trained).__name__
    if type(found) is not type(trained) and kind not in LABEL_TYPES:
        raise Disagrees(f"its labels are {type(found).__name__}, not {kind}")
    return kind


def _difference(found: NDArray[Any], trained: NDArray[Any]) -> Agreement:
    """The largest relative difference of numbers that are not the same, and the largest absolute one.

    Raises `Disagrees` past the tolerance.
    """
    if found.shape != trained.shape:
        raise Disagrees("it answers in another form")
    apart = np.abs(found - trained)
    scale = np.maximum(np.abs(trained), np.abs(found))
    relative = np.where(apart <= ABSOLUTE_TOLERANCE, 0.0, apart / np.maximum(scale, np.finfo(float).tiny))
    largest = float(relative.max())
    if not largest <= RELATIVE_TOLERANCE:
        raise Disagrees(f"numbers up to {largest:.1e} apart")
    return Agreement(largest, float(apart.max()))


def _apart(found: NDArray[Any], trained: NDArray[Any] | None) -> float:
    """The largest difference between scores that are no probabilities. Raises `Disagrees` if they do not match."""
    if trained is not None and found.shape[1] == 2 and trained.shape[1] == 1:
        # For two classes the trained model gives only the second one's score.
        found = found[:, 1:]
    if trained is None or found.shape != trained.shape:
        raise Disagrees("its scores cannot be compared, so that ties cannot be told")
    largest = float(np.max(np.abs(found - trained)))
    if largest > RELATIVE_TOLERANCE * float(np.max(np.abs(trained))):
        raise Disagrees("its scores differ")
    return largest


def _rule_of(found: GraphAnswer, trained: Predictions) -> str:
    """How labels follow from scores that are no probabilities. Raises `Disagrees` if no rule explains them."""
    scores = found.scores
    labels = np.asarray(trained.labels, dtype=object)
    if scores is None:
        raise Disagrees("its labels come without scores")
    picks = {"argmax": scores.argmax(axis=1), "argmin": scores.argmin(axis=1)}
    if scores.shape[1] == 1:
        picks = {"sign": (scores[:, 0] > 0).astype(int)}
    for rule, pick in picks.items():
        far = Tie(rule, 0.0).distances(scores) > float(np.max(np.abs(scores))) * 1e-6
        # Each column has one label, and each label one column, wherever the two best scores are well apart.
        pairs = set(zip(pick[far].tolist(), labels[far].tolist(), strict=True))
        if len({column for column, _ in pairs}) == len({label for _, label in pairs}) == len(pairs) > 1:
            return rule
    raise Disagrees("no rule explains its labels by its scores")
