"""Models as they answer: as trained by scikit-learn, or compiled to ONNX and tested equal.

An engine takes float64 rows of shape (rows, features). A compiled one computes on the event loop when that takes
microseconds; whatever takes longer goes to a bounded pool of threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Matrix = NDArray[np.float64]

#: A compiled forest of a hundred trees takes some 6 µs a row: so many stay well under a millisecond.
INLINE_ROWS = 32
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
POOL_THREADS = max(2, os.cpu_count() or 1)


class Predictions(NamedTuple):
    """For each row a label or number (or a list of them), and for classifiers a probability for each class."""

    labels: list[Any]
    probabilities: list[list[float]] | None


class NotComputable(Exception):
    """Rows (by their places) whose values, or what comes of them, are beyond the numbers that the model counts in."""

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__()
        self.rows = rows


class Engine(Protocol):
    """What computes a version's predictions."""

    @property
    def name(self) -> str: ...
    @property
    def class_names(self) -> Sequence[str] | None: ...
    async def predict(self, rows: Matrix) -> Predictions: ...


class Pool:
    """A bounded pool of threads for long computations, one BLAS or OpenMP thread each."""

    def __init__(self, threads: int = POOL_THREADS) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference", initializer=_one_thread_each)

    async def run(self, compute: Callable[[Matrix], Predictions], rows: Matrix) -> Predictions:
        return await asyncio.get_running_loop().run_in_executor(self._executor, compute, rows)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _one_thread_each() -> None:
    threadpool_limits(1)


class TrainedEngine:
    """The estimator itself."""

    name = "sklearn"

    def __init__(self, estimator: Any, pool: Pool) -> None:
        self._estimator = estimator
        self._pool = pool
        self.class_names = class_names(estimator)

    async def predict(self, rows: Matrix) -> Predictions:
        return await self._pool.run(self.compute, rows)

    def compute(self, rows: Matrix) -> Predictions:
        try:
            labels = np.asarray(self._estimator.predict(rows))
            probabilities = None if self.class_names is None else np.asarray(self._estimator.predict_proba(rows), float)
        except ValueError:
            # scikit-learn's trees count in float32, and say so in no other way than this.
            _require_float32(rows)
            raise
        _require_finite(labels)
        if probabilities is None:
            return Predictions(labels.tolist(), None)
        _require_finite(probabilities)
        return Predictions(labels.tolist(), probabilities.tolist())


class CompiledEngine:
    """The ONNX graph, with the trained model for answers too near to a tie."""

    name = "onnx"

    def __init__(self, graph: Graph, trained: TrainedEngine, tie_margin: float, pool: Pool) -> None:
        self._graph = graph
        self._trained = trained
        self._tie_margin = tie_margin
        self._pool = pool
        self.class_names = trained.class_names

    async def predict(self, rows: Matrix) -> Predictions:
        if len(rows) <= INLINE_ROWS:
            predictions = self._graph.predict(rows)
        else:
            predictions = await self._pool.run(self._graph.predict, rows)
        if predictions.probabilities is not None:
            ties = [i for i, each in enumerate(predictions.probabilities) if is_tie(each, self._tie_margin)]
            if ties:
                await self._ask_trained(rows, ties, predictions)
        return predictions

    async def _ask_trained(self, rows: Matrix, ties: list[int], predictions: Predictions) -> None:
        exact = await self._pool.run(self._trained.compute, rows[ties])
        for place, label, probabilities in zip(ties, exact.labels, exact.probabilities or [], strict=True):
            predictions.labels[place] = label
            if predictions.probabilities is not None:
                predictions.probabilities[place] = probabilities


class Graph:
    """A compiled model in ONNX Runtime, one thread; safe to share between threads."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        self._input = given.name
        self._dtype = np.float64 if given.type == "tensor(double)" else np.float32
        self._outputs = [output.name for output in self._session.get_outputs()]

    def predict(self, rows: Matrix) -> Predictions:
        if self._dtype is np.float32:
            _require_float32(rows)
        outputs = self._session.run(self._outputs, {self._input: rows.astype(self._dtype, copy=False)})
        _require_finite(outputs[-1])
        if len(outputs) > 1:
            return Predictions(outputs[0].tolist(), outputs[1].tolist())
        values = outputs[0]
        return Predictions((values.ravel() if values.ndim > 1 and values.shape[1] == 1 else values).tolist(), None)


def _require_float32(rows: Matrix) -> None:
    too_large = np.abs(rows) > LARGEST_FLOAT32
    if too_large.any():
        raise NotComputable(np.flatnonzero(too_large.any(axis=1)).tolist())


def _require_finite(values: NDArray[Any]) -> None:
    """An overflow is no prediction, and JSON has no word for it."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        flat = values.reshape(len(values), -1)
        raise NotComputable(np.flatnonzero(~np.isfinite(flat).all(axis=1)).tolist())


def is_tie(probabilities: Sequence[float], margin: float) -> bool:
    """Whether the two most probable classes are nearer to each other than the compiled model can be trusted."""
    best = max(probabilities)
    return sum(best - each <= margin for each in probabilities) > 1


def class_names(estimator: Any) -> list[str] | None:
    """The classes as the text they have in an answer's `probabilities`; None for what has no probabilities."""
    if not hasattr(estimator, "predict_proba"):
        return None
    return [str(each) for each in np.asarray(estimator.classes_).tolist()]
