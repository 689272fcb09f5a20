"""Engines: a model as it was trained, or compiled to ONNX and tested equal.

An engine computes; its lane decides when, and in which thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.estimators import is_scikit_learns_own
from inference.graphs import LARGEST_FLOAT32, BeyondGraph, Graph, clipped
from inference.outputs import ClassNames, NotComputable, Predictions, predict_with, scores_with
from inference.report import Comparison, EngineName, ScoresReport, TieReport
from inference.rows.inputs import Inputs, Row
from inference.ties import Tie

#: Labels that a graph gives as integers.
LABEL_TYPES: dict[str, Callable[[Any], Any]] = {"bool": bool, "float": float}


class Engine(Protocol):
    """Computes a version's predictions. `compute` raises `NotComputable`, or whatever a model raises."""

    @property
    def name(self) -> EngineName: ...
    @property
    def class_names(self) -> ClassNames | None: ...
    @property
    def score_names(self) -> Sequence[str] | None:
        """The names of a row's scores; None if there are none."""
        ...

    @property
    def may_hold_the_loop(self) -> bool:
        """Whether the same rows take about the same time each time."""
        ...

    def compute(self, rows: Sequence[Row]) -> Predictions: ...
    def compute_at_once(self, rows: Sequence[Row]) -> tuple[Predictions, Sequence[int]]:
        """The same but for the rows (by index) that would take longer than usual.

        Raises `BeyondGraph` for rows that keep the others from being computed.
        """
        ...

    def compute_scored(self, rows: Sequence[Row]) -> Predictions:
        """The same predictions with scores, if there are any."""
        ...


class TrainedEngine:
    """The estimator itself."""

    name: EngineName = "sklearn"

    def __init__(
        self, estimator: Any, inputs: Inputs, class_names: ClassNames | None, scores: ScoresReport | None = None
    ) -> None:
        self._estimator = estimator
        self._inputs = inputs
        self._verb = scores.source if scores else None
        self.class_names = class_names
        self.score_names = scores.names if scores else None
        self.may_hold_the_loop = is_scikit_learns_own(estimator)

    def compute(self, rows: Sequence[Row]) -> Predictions:
        given = self._inputs(rows)
        try:
            return predict_with(self._estimator, given, len(rows), self.class_names)
        except ValueError:
            _require_numbers(rows)
            raise

    def compute_at_once(self, rows: Sequence[Row]) -> tuple[Predictions, Sequence[int]]:
        return self.compute(rows), ()

    def compute_scored(self, rows: Sequence[Row]) -> Predictions:
        return self.with_scores(self.compute(rows), rows)

    def with_scores(self, predictions: Predictions, rows: Sequence[Row]) -> Predictions:
        """Those predictions of the rows, with the estimator's scores if it has any."""
        if self._verb is None:
            return predictions
        return predictions._replace(scores=self.scores_by(self._verb, rows).tolist())

    def scores_by(self, verb: str, rows: Sequence[Row]) -> NDArray[Any]:
        """The scores that the estimator's `verb` gives, of shape (rows, scores). Raises like `compute`."""
        given = self._inputs(rows)
        try:
            return scores_with(self._estimator, verb, given, len(rows))
        except ValueError:
            _require_numbers(rows)
            raise

    def scores(self, rows: Sequence[Row]) -> NDArray[Any] | None:
        """The scores that choose its labels if it has no probabilities, of shape (rows, scores)."""
        for verb in ("decision_function", "transform"):
            if hasattr(self._estimator, verb):
                return np.asarray(getattr(self._estimator, verb)(self._inputs(rows)), float).reshape(len(rows), -1)
        return None


def _require_numbers(rows: Sequence[Row]) -> None:
    """Raises `NotComputable` for rows with a number that float32 cannot hold.

    scikit-learn's trees count in float32, and a ValueError is the only sign of it.
    """
    beyond = [
        place
        for place, row in enumerate(rows)
        if any(isinstance(value, float | int) and abs(value) > LARGEST_FLOAT32 for value in row.values())
    ]
    if beyond:
        raise NotComputable(beyond)


class CompiledEngine:
    """A graph made from a trained model; the trained model answers the rows that are too near to a tie.

    If the report says `ties_alone`, it answers them one by one: its last bit depends on the rows beside a row.
    """

    name: EngineName = "onnx"
    may_hold_the_loop = True

    def __init__(
        self, graph: Graph, trained: TrainedEngine, ties: TieReport | None = None, *, has_scores: bool = False
    ) -> None:
        self.graph = graph
        #: Whether the scores that choose the graph's labels are those that callers may ask for.
        self._has_scores = has_scores
        self._trained = trained
        self._tie = None if ties is None else Tie(ties.tie_rule, ties.tie_margin)
        self._ties_alone = ties is not None and ties.ties_alone
        self._of_type = None if ties is None else LABEL_TYPES.get(ties.label_type)
        self.class_names = trained.class_names
        self.score_names = trained.score_names

    def compute(self, rows: Sequence[Row]) -> Predictions:
        return self._whole(rows, scored=False)

    def compute_scored(self, rows: Sequence[Row]) -> Predictions:
        if not self._has_scores:
            return self._trained.with_scores(self.compute(rows), rows)
        return self._whole(rows, scored=True)

    def compute_at_once(self, rows: Sequence[Row]) -> tuple[Predictions, Sequence[int]]:
        return self._by_graph(rows, scored=False)

    def _whole(self, rows: Sequence[Row], *, scored: bool) -> Predictions:
        """The graph's predictions, and the trained model's for the rows that are beyond it or too near to a tie."""
        exact = self._trained.compute_scored if scored else self._trained.compute
        try:
            predictions, left = self._by_graph(rows, scored=scored)
        except BeyondGraph as error:
            left = error.rows
            within = sorted(set(range(len(rows))).difference(left))
            if not within:
                return exact(rows)
            predictions = _spread(_of_these(partial(self._whole, scored=scored), rows, within), within, len(rows))
        for together in [[index] for index in left] if self._ties_alone else [left] if left else []:
            answers = _of_these(exact, rows, together)
            for mine, theirs in zip(predictions, answers, strict=True):
                if mine is not None and theirs is not None:
                    for number, index in enumerate(together):
                        mine[index] = theirs[number]
        return predictions

    def _by_graph(self, rows: Sequence[Row], *, scored: bool) -> tuple[Predictions, Sequence[int]]:
        """The graph's predictions, and the rows (by index) that are too near to a tie."""
        labels, scores = self.graph.predict(rows)
        probabilities = None
        if scores is not None and self.class_names is not None:
            probabilities = clipped(scores)
        if self._of_type is not None:
            labels = [self._of_type(label) for label in labels]
        ties = [] if scores is None or self._tie is None else self._tie.near(scores)
        if scored and scores is not None and self.score_names is not None:
            return Predictions(labels, probabilities, named_columns(scores, self.score_names).tolist()), ties
        return Predictions(labels, probabilities), ties


def _of_these(
    compute: Callable[[Sequence[Row]], Predictions], rows: Sequence[Row], places: Sequence[int]
) -> Predictions:
    """The predictions of the rows at those places. Raises `NotComputable` for places among all rows."""
    try:
        return compute([rows[place] for place in places])
    except NotComputable as error:
        raise NotComputable([places[index] for index in error.rows]) from None


def _spread(predictions: Predictions, places: Sequence[int], rows: int) -> Predictions:
    """The same at those places among so many rows; the others have None."""

    def spread(values: list[Any] | None) -> Any:
        if values is None:
            return None
        wide: list[Any] = [None] * rows
        for place, value in zip(places, values, strict=True):
            wide[place] = value
        return wide

    return Predictions(*map(spread, predictions))


def named_columns(scores: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
    """A graph's columns that have names: a graph gives both of two classes, where the trained model gives the second.

    Others are returned as they are.
    """
    return scores[:, 1:] if (scores.shape[1], len(names)) == (2, 1) else scores


def compiled_engine(
    model: bytes,
    names: Sequence[str],
    trained: TrainedEngine,
    comparison: Comparison,
    scores: ScoresReport | None = None,
) -> CompiledEngine:
    """The engine of a compiled model, as its comparison with the trained one describes it."""
    graph = Graph(model, names, is_guarded=comparison.rounds_to_float32)
    return CompiledEngine(graph, trained, comparison.ties, has_scores=scores is not None and scores.compiled)
