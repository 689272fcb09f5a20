"""Engines: a model as it was trained, or compiled to ONNX and tested equal.

An engine computes; `running.py` decides when, and in which thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.estimators import is_scikit_learns_own
from inference.graphs import LARGEST_FLOAT32, BeyondGraph, Graph
from inference.inputs import Inputs, Row
from inference.outputs import ClassNames, NotComputable, Predictions, predict_with
from inference.report import Comparison, EngineName, TieReport

#: Labels that a graph gives as integers.
LABEL_TYPES: dict[str, Callable[[Any], Any]] = {"bool": bool, "float": float}


class Engine(Protocol):
    """Computes a version's predictions. `compute` raises `NotComputable`, or whatever a model raises."""

    @property
    def name(self) -> EngineName: ...
    @property
    def class_names(self) -> ClassNames | None: ...
    @property
    def may_hold_the_loop(self) -> bool:
        """Whether the same rows take about the same time each time."""
        ...

    def compute(self, rows: Sequence[Row]) -> Predictions: ...
    def compute_at_once(self, rows: Sequence[Row]) -> Predictions | None:
        """The same, or None where it would take longer than usual."""
        ...


class TrainedEngine:
    """The estimator itself."""

    name: EngineName = "sklearn"

    def __init__(self, estimator: Any, inputs: Inputs, class_names: ClassNames | None) -> None:
        self._estimator = estimator
        self._inputs = inputs
        self.class_names = class_names
        self.may_hold_the_loop = is_scikit_learns_own(estimator)

    def compute(self, rows: Sequence[Row]) -> Predictions:
        given = self._inputs(rows)
        try:
            return predict_with(self._estimator, given, len(rows), self.class_names)
        except ValueError:
            # scikit-learn's trees count in float32, and this error is the only sign of it.
            _require_float32(rows)
            raise

    compute_at_once = compute

    def scores(self, rows: Sequence[Row]) -> NDArray[Any] | None:
        """The scores that choose its labels if it has no probabilities, of shape (rows, scores)."""
        for verb in ("decision_function", "transform"):
            if hasattr(self._estimator, verb):
                return np.asarray(getattr(self._estimator, verb)(self._inputs(rows)), float).reshape(len(rows), -1)
        return None


def _require_float32(rows: Sequence[Row]) -> None:
    """Raises `NotComputable` for rows with a number that float32 cannot hold."""
    beyond = [
        place
        for place, row in enumerate(rows)
        if any(isinstance(value, float | int) and abs(value) > LARGEST_FLOAT32 for value in row.values())
    ]
    if beyond:
        raise NotComputable(beyond)


class GraphEngine:
    """A graph that was registered as one: it is the trained model."""

    name: EngineName = "onnx"
    may_hold_the_loop = True

    def __init__(self, graph: Graph, class_names: ClassNames | None) -> None:
        self._graph = graph
        self.class_names = class_names

    def compute(self, rows: Sequence[Row]) -> Predictions:
        labels, scores = self._graph.predict(rows)
        return Predictions(labels, None if scores is None or self.class_names is None else scores.tolist())

    compute_at_once = compute


class CompiledEngine:
    """A graph made from a trained model; the trained model answers the rows that are too near to a tie.

    If the report says `ties_alone`, it answers them one by one: its last bit depends on the rows beside a row.
    """

    name: EngineName = "onnx"
    may_hold_the_loop = True

    def __init__(self, graph: Graph, trained: TrainedEngine, ties: TieReport | None = None) -> None:
        self._graph = graph
        self._trained = trained
        self._tie = None if ties is None else Tie(ties.tie_rule, ties.tie_margin)
        self._ties_alone = ties is not None and ties.ties_alone
        self._of_type = None if ties is None else LABEL_TYPES.get(ties.label_type)
        self.class_names = trained.class_names

    def compute(self, rows: Sequence[Row]) -> Predictions:
        try:
            predictions, ties = self._by_graph(rows)
        except BeyondGraph:
            return self._trained.compute(rows)
        for together in [[index] for index in ties] if self._ties_alone else [ties]:
            self._ask_trained(rows, together, predictions)
        return predictions

    def _ask_trained(self, rows: Sequence[Row], indices: list[int], predictions: Predictions) -> None:
        if not indices:
            return
        exact = self._trained.compute([rows[index] for index in indices])
        for number, index in enumerate(indices):
            predictions.labels[index] = exact.labels[number]
            if predictions.probabilities is not None and exact.probabilities is not None:
                predictions.probabilities[index] = exact.probabilities[number]

    def compute_at_once(self, rows: Sequence[Row]) -> Predictions | None:
        try:
            predictions, ties = self._by_graph(rows)
        except BeyondGraph:
            return None
        return None if ties else predictions

    def _by_graph(self, rows: Sequence[Row]) -> tuple[Predictions, list[int]]:
        labels, scores = self._graph.predict(rows)
        if scores is not None and self.class_names is not None:
            # A sum of float32 shares may be a little more than 1.
            np.minimum(scores, 1.0, out=scores)
        if self._of_type is not None:
            labels = [self._of_type(label) for label in labels]
        ties = [] if scores is None or self._tie is None else self._tie.near(scores)
        return Predictions(labels, None if scores is None or self.class_names is None else scores.tolist()), ties


def compiled_engine(
    model: bytes, names: Sequence[str], trained: TrainedEngine, comparison: Comparison
) -> CompiledEngine:
    """The engine of a compiled model, as its comparison with the trained one describes it."""
    graph = Graph(model, names, is_guarded=comparison.rounds_to_float32)
    return CompiledEngine(graph, trained, comparison.ties)


class Tie(NamedTuple):
    """How a label follows from a row's scores, and how near to another label the scores can be trusted.

    `rule` is `argmax` (the greatest score, such as a probability), `argmin` (the least, such as a distance) or `sign`
    (of a single score).
    """

    rule: str
    margin: float

    def near(self, scores: NDArray[Any]) -> list[int]:
        """The indices of the rows whose label is in doubt. `scores` has shape (rows, scores)."""
        if len(scores) == 1:
            # One row is the usual case, and asking numpy costs as much as the graph itself.
            return [0] if self._distance(scores[0].tolist()) <= self.margin else []
        found: list[int] = np.flatnonzero(self.distances(scores) <= self.margin).tolist()
        return found

    def _distance(self, scores: list[float]) -> float:
        if self.rule == "sign":
            return abs(scores[0])
        ordered = sorted(scores, reverse=self.rule == "argmax")
        return abs(ordered[0] - ordered[1]) if len(ordered) > 1 else math.inf

    def distances(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The distance of each row's scores from another label."""
        if self.rule == "sign":
            return np.asarray(np.abs(scores[:, 0]))
        if scores.shape[1] < 2:
            return np.full(len(scores), np.inf)
        if self.rule == "argmin":
            two = np.partition(scores, 1, axis=1)
            return np.asarray(two[:, 1] - two[:, 0])
        two = np.partition(scores, -2, axis=1)
        return np.asarray(two[:, -1] - two[:, -2])
