"""Compiling a trained model to ONNX, and the test that decides whether the compiled one may answer.

Linear parts are compiled in float64: in float32 a logistic regression's labels change on its decision boundary, while
no random row shows it. Trees compare float32 themselves. Which of the two inputs serves is found by the test.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.engines import Graph, Pool, Predictions, TrainedEngine, is_tie

RELATIVE_TOLERANCE = 1e-5
RANDOM_ROWS = 2_000
SEED = 20260101
OPSET = {"": 21, "ai.onnx.ml": 3}


class Compiled(NamedTuple):
    """The test's result, kept with the version; `model` is None where the model runs as trained."""

    model: bytes | None
    report: dict[str, Any]


def compile_tested(estimator: Any, sample: NDArray[np.float64]) -> Compiled:
    """Compiles the estimator and tests it on the sample, on random rows and between neighbouring rows.

    `sample` has shape (rows, features). A compiled model is returned only if every label is identical (but on ties,
    which the trained model answers) and every number within 1e-5 (relative; for probabilities, absolute).
    """
    rows = _test_rows(sample)
    trained = TrainedEngine(estimator, Pool(1)).compute(rows)
    reasons = []
    for precision in ("float64", "float32"):
        try:
            model = _convert(estimator, sample.shape[1], precision)
            compiled = Graph(model).predict(rows)
        except Exception as error:  # noqa: BLE001  whatever the converter dislikes, the model is served as trained
            reasons.append(f"{precision}: {type(error).__name__}")
            continue
        report = _compare(trained, compiled) | {"rows": len(rows), "precision": precision, "versions": _versions()}
        if report["label_mismatches"] == 0 and report["largest_difference"] <= RELATIVE_TOLERANCE:
            return Compiled(model, {"engine": "onnx"} | report)
        reasons.append(f"{precision}: {report['label_mismatches']} labels, {report['largest_difference']:.1e} apart")
    return Compiled(None, {"engine": "sklearn", "reason": "; ".join(reasons), "versions": _versions()})


def _convert(estimator: Any, features: int, precision: str) -> bytes:
    # Importing the converter takes a second that only a registration should pay.
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # noqa: PLC0415

    kind = DoubleTensorType if precision == "float64" else FloatTensorType
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    graph = to_onnx(estimator, initial_types=[("rows", kind([None, features]))], options=options, target_opset=OPSET)
    return bytes(graph.SerializeToString())


def _test_rows(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample; random rows within and around its range; and the middles between neighbours, where trees split."""
    random = np.random.default_rng(SEED)
    low, high = sample.min(axis=0), sample.max(axis=0)
    spread = (high - low) * 0.25
    anywhere = random.uniform(low - spread, high + spread, (RANDOM_ROWS, sample.shape[1]))
    order = np.sort(sample, axis=0)
    return np.vstack([sample, anywhere, (order[1:] + order[:-1]) / 2])


def _compare(trained: Predictions, compiled: Predictions) -> dict[str, Any]:
    if trained.probabilities is None and isinstance(trained.labels[0], str | bool | int):
        mismatches = sum(ours != theirs for ours, theirs in zip(compiled.labels, trained.labels, strict=True))
        return {"label_mismatches": mismatches, "largest_difference": 0.0}
    if trained.probabilities is None or compiled.probabilities is None:
        expected, found = np.asarray(trained.labels, float), np.asarray(compiled.labels, float)
        scale = np.maximum(np.abs(expected), 1.0)
        return {"label_mismatches": 0, "largest_difference": float(np.max(np.abs(expected - found) / scale))}
    difference = float(np.max(np.abs(np.asarray(trained.probabilities) - np.asarray(compiled.probabilities))))
    tie_margin = max(1e-9, 4 * difference)
    mismatches = sum(
        ours != theirs and not is_tie(probabilities, tie_margin)
        for ours, theirs, probabilities in zip(
            compiled.labels, trained.labels, compiled.probabilities, strict=True
        )
    )  # fmt: skip
    return {"label_mismatches": mismatches, "largest_difference": difference, "tie_margin": tie_margin}


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("scikit-learn", "skl2onnx", "onnxruntime", "numpy")}
