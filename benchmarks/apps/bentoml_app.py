"""BentoML as its documentation serves a model; runs in an environment that has BentoML.

`BENCHMARK_AT_ONCE` is how many requests it may compute together; 1 switches its batching off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import numpy as np
from numpy.typing import NDArray

MODELS = {path.stem: joblib.load(path) for path in Path(os.environ["BENCHMARK_MODELS"]).glob("*.joblib")}
MOST = int(os.environ["BENCHMARK_AT_ONCE"])
#: It counts rows: so many requests of a hundred rows may come together as of one row.
BATCHED: dict[str, Any] = (
    {"batchable": True, "max_batch_size": MOST * 100, "max_latency_ms": 10_000} if MOST > 1 else {}
)


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Models:
    """The probabilities of rows; the label is that of the largest."""

    @bentoml.api(**BATCHED)
    def iris(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return MODELS["iris"].predict_proba(rows)

    @bentoml.api(**BATCHED)
    def wine(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return MODELS["wine"].predict_proba(rows)

    @bentoml.api(**BATCHED)
    def boosted(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return MODELS["boosted"].predict_proba(rows)
