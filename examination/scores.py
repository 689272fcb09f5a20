"""Finds out which scores a model has beside its labels, and names each: `?include=scores` asks for them.

A classifier's are those of its decision function, a detector's is its anomaly score, a clusterer's are the distances to
its clusters, and a mixture's is the logarithm of its density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examination.compiling.agreement import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from examination.compiling.independence import is_near
from inference.engines import TrainedEngine, named_columns
from inference.graphs import Graph
from inference.outputs import name_of, names_of_classes
from inference.report import ScoresReport
from inference.rows.inputs import Row
from inference.scores import kind_of, verb_of

#: Above 0 a row is usual, below it is an outlier.
INLIER = "inlier"
LOG_DENSITY = "log_density"
#: A score alone and beside other rows may differ by so much: a distance of nearly 0 is the root of a rounding error.
ALONE_TOLERANCE = 1e-6
#: An answer of so many numbers for each of a thousand rows is as long as any should be.
MAX_SCORES = 1_000
#: A support vector machine's label is at times not the class of its greatest score.
_MOSTLY = 0.95
_MOST_ROWS, _ALONE_ROWS = 1_000, 16


def scores_of(
    estimator: Any, trained: TrainedEngine, asked: Sequence[Row], tried: Sequence[Row], graph: Graph | None
) -> ScoresReport | None:
    """The estimator's scores; None if it has none for the rows that were `asked`, or if rows have others together.

    The compiled model's `graph` gives them if it is within 1e-5 of the trained model on all rows that were `tried`.
    """
    verb = verb_of(estimator)
    if verb is None:
        return None
    asked = asked[:_MOST_ROWS]
    try:
        predictions = trained.compute(asked)
        scores = trained.scores_by(verb, asked)
        names = _names(estimator, verb, predictions.labels, scores)
        if (
            names is None
            or len(names) > MAX_SCORES
            or not is_alone_as_together(lambda rows: trained.scores_by(verb, rows), asked)
        ):
            return None
    except Exception:  # noqa: BLE001  a model may raise anything: it has no scores then
        return None
    return ScoresReport(verb, names, compiled=_are_in(graph, trained, verb, names, tried))


def is_alone_as_together(
    scores: Callable[[Sequence[Row]], NDArray[Any]], rows: Sequence[Row], tolerance: float = ALONE_TOLERANCE
) -> bool:
    """Whether rows have the same scores alone as together."""
    some = rows[:_ALONE_ROWS]
    alone = [scores([row])[0].tolist() for row in some]
    return is_near(alone, scores(some).tolist(), tolerance)


def _names(estimator: Any, verb: str, labels: Sequence[Any], scores: NDArray[Any]) -> list[str] | None:
    """A name for each score; None if they are not what callers would take them for."""
    width = scores.shape[1]
    if verb == "score_samples":
        return [LOG_DENSITY] if width == 1 else None
    if verb == "transform":
        is_nearest = width > 1 and scores.argmin(axis=1).tolist() == labels
        return [str(number) for number in range(width)] if is_nearest else None
    if kind_of(estimator) == "outlier_detector":
        return [INLIER] if width == 1 else None
    classes = _classes(estimator)
    if width == 1:
        return [name_of(classes[1]) if classes is not None and len(classes) == 2 else "score"]
    if classes is not None and _is_of_pairs(estimator, scores, classes, labels):
        return unique([f"{name_of(one)}/{name_of(other)}" for one, other in combinations(classes, 2)])
    return unique(names_of_classes(None if classes is None else np.array(classes, dtype=object), width))


def _classes(estimator: Any) -> list[Any] | None:
    classes = getattr(estimator, "classes_", None)
    return None if classes is None or isinstance(classes, list) else list(np.asarray(classes).tolist())


def _is_of_pairs(estimator: Any, scores: NDArray[Any], classes: Sequence[Any], labels: Sequence[Any]) -> bool:
    """Whether each score decides between two classes, as those of `SVC(decision_function_shape="ovo")` do.

    Above 0 it speaks for the first of the two. For three classes there are three pairs: the votes must give the labels.
    """
    pairs = list(combinations(range(len(classes)), 2))
    if getattr(_decider(estimator), "decision_function_shape", None) != "ovo" or len(pairs) != scores.shape[1]:
        return False
    votes = np.zeros((len(scores), len(classes)), int)
    for column, (one, other) in enumerate(pairs):
        is_for_one = scores[:, column] > 0
        votes[:, one] += is_for_one
        votes[:, other] += ~is_for_one
    two = np.partition(votes, -2, axis=1)
    rows = zip(votes.argmax(axis=1).tolist(), labels, (two[:, -1] > two[:, -2]).tolist(), strict=True)
    return all(classes[pick] == label for pick, label, is_clear in rows if is_clear)


def _decider(estimator: Any) -> Any:
    """The estimator that decides within pipelines and searches."""
    while True:
        steps = getattr(estimator, "steps", None)
        inner = steps[-1][1] if steps else None
        for name in ("best_estimator_", "estimator_", "final_estimator_"):
            inner = inner or getattr(estimator, name, None)
        if inner is None:
            return estimator
        estimator = inner


def _are_in(graph: Graph | None, trained: TrainedEngine, verb: str, names: Sequence[str], tried: Sequence[Row]) -> bool:
    """Whether the graph's second output are these scores: for classifiers with probabilities, it is those."""
    if graph is None or trained.class_names is not None:
        return False
    try:
        found = graph.predict(tried).scores
        expected = trained.scores_by(verb, tried)
    except Exception:  # noqa: BLE001  the trained model gives the scores, whatever keeps the graph from it
        return False
    if found is None or (found := named_columns(found, names)).shape != expected.shape:
        return False
    return bool(np.allclose(found, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE))


def names_by_values(scores: NDArray[Any], labels: NDArray[Any], classes: Sequence[Any] | None, alone: str) -> list[str]:
    """Names for a graph's scores, of shape (rows, scores), by how the labels follow from them.

    A single score that follows no rule has the name `alone`.
    """
    width, said = scores.shape[1], labels.tolist()
    if width == 1:
        signs = (scores[:, 0] >= 0).tolist()
        for pair, name in _pairs(classes):
            if all(label == pair[sign] for label, sign in zip(said, signs, strict=True)):
                return [name]
        return [alone]
    if classes is not None and len(classes) == width and labels.ndim == 1:
        picks = scores.argmax(axis=1).tolist()
        if np.mean([classes[pick] == label for pick, label in zip(picks, said, strict=True)]) >= _MOSTLY:
            return unique([name_of(each) for each in classes])
    return [str(number) for number in range(width)]


def _pairs(classes: Sequence[Any] | None) -> list[tuple[Sequence[Any], str]]:
    """The labels below and above 0, with the name of the score: of two classes, and of a detector."""
    of_two = [(classes, name_of(classes[1]))] if classes is not None and len(classes) == 2 else []
    return [*of_two, ((-1, 1), INLIER)]


def unique(names: Sequence[str]) -> list[str]:
    """The same names, or numbers where two would be the same."""
    return list(names) if len(set(names)) == len(names) else [str(number) for number in range(len(names))]
