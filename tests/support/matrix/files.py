"""Files of trained models and of samples, as notebooks write them."""

from __future__ import annotations

import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

FILES = ["joblib", "joblib, compressed", "pickle", "skops", "native", "onnx"]


def model_file(kind: str, estimator: Any, given: Any) -> tuple[str, bytes]:
    """A name and the content."""
    if kind.startswith("joblib"):
        file = io.BytesIO()
        joblib.dump(estimator, file, compress=3 if "compressed" in kind else 0)
        return "m.joblib", file.getvalue()
    if kind == "pickle":
        return "m.pkl", pickle.dumps(estimator)
    if kind == "skops":
        from skops import io as skops_io  # noqa: PLC0415  for those cells alone

        return "m.skops", skops_io.dumps(estimator)
    return _onnx(estimator, given) if kind == "onnx" else _native(estimator)


def _onnx(estimator: Any, given: Any) -> tuple[str, bytes]:
    from skl2onnx import to_onnx  # noqa: PLC0415  for those cells alone

    has_classes = hasattr(estimator, "classes_") and not type(estimator).__name__.startswith("Linear")
    options = {id(estimator): {"zipmap": False}} if has_classes and hasattr(estimator, "predict_proba") else None
    graph = to_onnx(
        estimator, np.asarray(given, np.float32)[:1], options=options, target_opset={"": 18, "ai.onnx.ml": 3}
    )
    return "m.onnx", graph.SerializeToString()


def _native(estimator: Any) -> tuple[str, bytes]:
    if type(estimator).__module__.startswith("lightgbm"):
        return "m.txt", estimator.booster_.model_to_string().encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("m.cbm" if type(estimator).__module__.startswith("catboost") else "m.ubj")
        estimator.save_model(path)
        return path.name, path.read_bytes()


def sample_file(kind: str, frame: pd.DataFrame) -> tuple[str, bytes] | None:
    """The frame as a sample, or None."""
    if kind == "csv":
        return "s.csv", frame.to_csv(index=False).encode()
    if kind == "parquet":
        file = io.BytesIO()
        frame.to_parquet(file, index=False)
        return "s.parquet", file.getvalue()
    return None
