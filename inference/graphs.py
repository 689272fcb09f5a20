"""Graphs in ONNX Runtime: one thread each, safe to share between threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.onnx_runtime import InferenceSession, SessionOptions
from inference.outputs import NotComputable, NotServable
from inference.rows.inputs import Row, matrix_of

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
#: Far below what float32 holds, so that scaling within a graph does not come near that either.
LARGEST_GUARDED = 1e15
_TYPES: dict[str, Any] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(string)": object,
    "tensor(bool)": np.bool_,
}
_EXACT_INTEGERS = 2.0**53


class BeyondGraph(Exception):
    """Rows (by index) with a number so large that the graph's own roundings may exceed float32."""

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__()
        self.rows = rows


class GraphAnswer(NamedTuple):
    """A graph's answer for rows: labels or numbers, and the scores that chose the labels, of shape (rows, scores)."""

    labels: list[Any]
    scores: NDArray[Any] | None


class Graph:
    """A graph that answers rows. `names` are the features in the order in which a single input takes them.

    With `is_guarded` it does not answer rows beyond `LARGEST_GUARDED`: it rounds to float32 within, and could not say
    that a number does not fit.
    """

    def __init__(self, model: bytes, names: Sequence[str], *, is_guarded: bool = False) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._feed = _feeder(self._session.get_inputs(), names)
        self._is_guarded = is_guarded
        self.outputs = [output.name for output in self._session.get_outputs()]

    def predict(self, rows: Sequence[Row]) -> GraphAnswer:
        """The first output as labels and the second as scores. Raises like `run`."""
        outputs = self.run(rows, self.outputs)
        count = len(rows)
        # One label for each row comes as (rows,), (rows, 1) or (1, rows), depending on the converter.
        labels = outputs[0].ravel() if outputs[0].size == count else outputs[0].reshape(count, -1)
        scores = outputs[1].reshape(count, -1) if len(outputs) > 1 else None
        return GraphAnswer(labels.tolist(), scores)

    def run(self, rows: Sequence[Row], names: Sequence[str]) -> list[NDArray[Any]]:
        """Those outputs, each of as many values as the rows or a multiple of it, and finite.

        Raises `BeyondGraph`, `NotComputable` for rows beyond its numbers, `NotServable` for a misshapen answer.
        """
        given = self._feed(rows)
        if self._is_guarded:
            _require_within(given.values())
        outputs: list[NDArray[Any]] = self._session.run(names, given)
        count = len(rows)
        for output in outputs:
            if not isinstance(output, np.ndarray) or output.size == 0 or output.size % count:
                raise NotServable("it does not answer once for each row")
            # A sum is finite only if all its terms are; for one row that is the quickest test.
            if output.dtype.kind == "f" and not math.isfinite(output.sum()):
                _refuse_infinite(output, count)
        return outputs


def clipped(probabilities: NDArray[Any]) -> list[Any]:
    """The same within [0, 1], as lists: a sum of float32 shares may be a little more or less."""
    if probabilities.shape[0] == 1 and probabilities.ndim == 2:
        # One row is the usual case, and asking numpy twice costs more than looking at each share.
        (row,) = probabilities.tolist()
        return [[1.0 if share > 1.0 else share if share > 0.0 else 0.0 for share in row]]  # noqa: FURB136  a call of `max` for each costs more
    np.minimum(probabilities, 1.0, out=probabilities)
    np.maximum(probabilities, 0.0, out=probabilities)
    answer: list[Any] = probabilities.tolist()
    return answer


def _refuse_infinite(output: NDArray[Any], rows: int) -> None:
    """Raises `NotComputable` for the rows of an output that is not finite, whichever of its axes the rows are."""
    if output.ndim == 3 and output.shape[0] != rows:
        output = output.transpose(1, 0, 2)
    flat = np.isfinite(output.reshape(rows, -1))
    if not flat.all():
        raise NotComputable(np.flatnonzero(~flat.all(axis=1)).tolist())


def _require_within(inputs: Iterable[NDArray[Any]]) -> None:
    """Raises `BeyondGraph` for rows with a number beyond `LARGEST_GUARDED`; missing ones and texts are not."""
    # A product would release the interpreter lock, and taking it again costs more than all this.
    beyond = [np.abs(values) > LARGEST_GUARDED for values in inputs if values.dtype.kind == "f"]
    if any(each.any() for each in beyond):
        raise BeyondGraph(np.flatnonzero(np.concatenate(beyond, axis=1).any(axis=1)).tolist())


def _feeder(inputs: Sequence[Any], names: Sequence[str]) -> Callable[[Sequence[Row]], dict[str, Any]]:
    """A function that makes a graph's inputs: one tensor of shape (rows, features), or a column for each feature."""
    if len(inputs) == 1 and not (len(names) == 1 and inputs[0].name == names[0]):
        return _matrix_feeder(inputs[0].name, _TYPES[inputs[0].type], names)
    own = [each.name for each in inputs]
    # Converters leave only letters, digits and `_` in names, and keep the inputs in their order.
    is_renamed = len(own) == len(names) and set(own) != set(names)
    columns = [
        (each.name, name, _TYPES[each.type]) for each, name in zip(inputs, names if is_renamed else own, strict=True)
    ]

    def feed(rows: Sequence[Row]) -> dict[str, Any]:
        return {own_name: _column(rows, name, dtype) for own_name, name, dtype in columns}

    return feed


def _matrix_feeder(name: str, dtype: Any, names: Sequence[str]) -> Callable[[Sequence[Row]], dict[str, Any]]:
    matrix = matrix_of(names)
    if dtype is np.float64:
        return lambda rows: {name: matrix(rows)}

    def feed(rows: Sequence[Row]) -> dict[str, Any]:
        if dtype is object:
            return {name: np.array([[row[each] for each in names] for row in rows], dtype=object)}
        return {name: _narrowed(matrix(rows), dtype)}

    return feed


def _column(rows: Sequence[Row], name: str, dtype: Any) -> NDArray[Any]:
    values = [[row[name]] for row in rows]
    if dtype in (object, np.bool_):
        return np.array(values, dtype=dtype)
    return _narrowed(np.array(values, dtype=np.float64), dtype)


def _narrowed(values: NDArray[np.float64], dtype: Any) -> NDArray[Any]:
    """The same numbers in the graph's type. Raises `NotComputable` for those that it cannot hold."""
    if dtype is np.float32:
        _require_float32(values)
    elif dtype is np.int64:
        _require(np.abs(values) <= _EXACT_INTEGERS)
    return values.astype(dtype, copy=False)


def _require_float32(values: NDArray[np.float64]) -> None:
    """Raises `NotComputable` for rows with a number that float32 cannot hold; NaN stands for a missing one."""
    _require(~(np.abs(values) > LARGEST_FLOAT32))


def _require(holds: NDArray[np.bool_]) -> None:
    if not holds.all():
        raise NotComputable(np.flatnonzero(~holds.all(axis=1)).tolist())


def feature_names(model: bytes) -> list[str] | int:
    """The names of the features that a graph takes one by one, or how many it takes at once. Raises `NotServable`."""
    inputs = InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
    if any(each.type not in _TYPES for each in inputs):
        raise NotServable("it takes inputs other than numbers, truth values and texts")
    if len(inputs) > 1:
        return [each.name for each in inputs]
    shape = inputs[0].shape
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise NotServable("its input has no fixed number of features")
    return shape[1]


def input_types(model: bytes) -> Mapping[str, str]:
    """The JSON Schema type of each of a graph's inputs."""
    inputs = InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
    words = {"tensor(string)": "string", "tensor(bool)": "boolean", "tensor(int64)": "integer"}
    return {each.name: words.get(each.type, "number") for each in inputs}
