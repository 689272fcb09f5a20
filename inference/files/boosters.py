"""XGBoost's and LightGBM's own model files, as estimators.

The files do not name the classes: labels are 0 to n-1.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNNAMED = re.compile(r"Column_\d+")


class NativeModel:
    """A booster of either library with scikit-learn's verbs; float rows of shape (rows, features)."""

    def __init__(self, raw: Any, features: int, names: list[str] | None) -> None:
        self._raw = raw
        self.n_features_in_ = features
        if names and not all(map(_UNNAMED.fullmatch, names)):
            self.feature_names_in_ = np.array(names, dtype=object)

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self._raw(rows))


class NativeClassifier(NativeModel):
    """A booster whose numbers are probabilities: of the second of two classes, or of each of several."""

    def __init__(self, raw: Any, features: int, names: list[str] | None, classes: int) -> None:
        super().__init__(raw, features, names)
        self.classes_ = np.arange(classes)

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        scores = np.asarray(self._raw(rows))
        return (scores > 0.5).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)

    def predict_proba(self, rows: NDArray[Any]) -> NDArray[Any]:
        scores = np.asarray(self._raw(rows))
        return np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores


def _native(raw: Any, features: int, names: list[str], classes: int) -> NativeModel:
    return NativeClassifier(raw, features, names, classes) if classes else NativeModel(raw, features, names)


def xgboost_model(content: bytes) -> NativeModel:
    """A model that `save_model` wrote as JSON or UBJSON; raises whatever XGBoost raises."""
    import xgboost  # noqa: PLC0415  loaded by those alone who have such a model

    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(content))
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    classes = 2 if objective == "binary:logistic" else 0
    if objective == "multi:softprob":
        classes = int(learner["learner_model_param"]["num_class"])
    # The scikit-learn class stops where early stopping found the best; a bare booster uses all of its trees.
    best = booster.attr("best_iteration") if booster.attr("scikit_learn") else None
    trees = (0, int(best) + 1) if best is not None else (0, 0)

    def raw(rows: NDArray[Any]) -> Any:
        if learner["gradient_booster"]["name"] == "gblinear":
            return booster.predict(xgboost.DMatrix(rows, feature_names=booster.feature_names))
        return booster.inplace_predict(rows, iteration_range=trees, validate_features=False)

    return _native(raw, booster.num_features(), list(booster.feature_names or ()), classes)


def lightgbm_model(content: bytes) -> NativeModel:
    """A model that `save_model` wrote as text; raises whatever LightGBM raises."""
    import lightgbm  # noqa: PLC0415  loaded by those alone who have such a model

    text = content.decode("utf-8")
    booster = lightgbm.Booster(model_str=text)
    match = re.search(r"^objective=(\w+)", text, re.MULTILINE)
    objective = match[1] if match else ""
    several = booster.num_model_per_iteration()
    classes = {"binary": 2, "multiclass": several, "multiclassova": several}.get(objective, 0)

    def raw(rows: NDArray[Any]) -> Any:
        return booster.predict(rows, num_threads=1)

    return _native(raw, booster.num_feature(), booster.feature_name(), classes)
