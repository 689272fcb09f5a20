"""Graphs that were registered as such: each is the trained model, and says by its outputs what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.graphs import Graph, clipped
from inference.outputs import ClassNames, NotServable, Predictions
from inference.report import CompilationReport, EngineName, OutputsReport
from inference.rows.inputs import Row


class GraphEngine:
    """A graph whose `outputs` are known. With `clips`, its probabilities are known to be that, up to roundings."""

    name: EngineName = "onnx"
    may_hold_the_loop = True

    def __init__(
        self,
        graph: Graph,
        outputs: OutputsReport,
        class_names: ClassNames | None,
        score_names: Sequence[str] | None = None,
        *,
        clips: bool = True,
    ) -> None:
        self._graph = graph
        self._listed = clipped if clips else _unclipped
        self._end = 1 + len(outputs.probabilities)
        self._asked = [outputs.label, *outputs.probabilities]
        self._asked_with_scores = [*self._asked, *outputs.scores]
        self.class_names = class_names
        self.score_names = score_names

    def compute(self, rows: Sequence[Row]) -> Predictions:
        return self._predictions(self._graph.run(rows, self._asked), len(rows))

    def compute_at_once(self, rows: Sequence[Row]) -> tuple[Predictions, Sequence[int]]:
        return self.compute(rows), ()

    def compute_scored(self, rows: Sequence[Row]) -> Predictions:
        return self._predictions(self._graph.run(rows, self._asked_with_scores), len(rows))

    def _predictions(self, outputs: list[NDArray[Any]], rows: int) -> Predictions:
        labels = labels_of(outputs[0], rows).tolist()
        probabilities, scores = outputs[1 : self._end], outputs[self._end :]
        return Predictions(
            labels,
            self._listed(side_by_side(probabilities, rows)) if probabilities else None,
            side_by_side(scores, rows).tolist() if scores else None,
        )


def graph_engine(graph: Graph, report: CompilationReport) -> GraphEngine:
    """The engine of a registered graph, as its report describes it.

    Early releases called any second output of a graph with labels probabilities. Their versions answer as they were
    registered.
    """
    if report.outputs is None:
        first, *others = graph.outputs
        outputs = OutputsReport(first, others[:1] if report.classes else ())
        return GraphEngine(graph, outputs, report.classes, clips=False)
    return GraphEngine(graph, report.outputs, report.classes, report.scores.names if report.scores else None)


def _unclipped(values: NDArray[Any]) -> list[Any]:
    answer: list[Any] = values.tolist()
    return answer


def labels_of(output: NDArray[Any], rows: int) -> NDArray[Any]:
    """One label for each row, of shape (rows,), or several, of shape (rows, labels). Raises `NotServable`."""
    # One for each row comes as (rows,), (rows, 1) or (1, rows), depending on the converter.
    if output.size == rows:
        return output.ravel()
    if output.shape[0] != rows:
        raise NotServable("it does not answer once for each row")
    return output.reshape(rows, -1)


def side_by_side(outputs: Sequence[NDArray[Any]], rows: int) -> NDArray[Any]:
    """The columns of the outputs, of shape (rows, columns). Raises `NotServable`.

    A single output of shape (labels, rows, classes) becomes (rows, labels, classes).
    """
    if len(outputs) == 1 and outputs[0].ndim == 3:
        outputs = [outputs[0].transpose(1, 0, 2)]
    for output in outputs:
        if output.shape[0] != rows:
            raise NotServable("it does not answer once for each row")
    if len(outputs) == 1 and outputs[0].ndim > 1:
        return outputs[0]
    return np.concatenate([output.reshape(rows, -1) for output in outputs], axis=1)
