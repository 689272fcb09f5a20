"""LightGBM's own model files, answered as their own configuration says."""

from __future__ import annotations

import re
from typing import Any

from inference.files.boosters import NativeClassifier, NativeModel

_OBJECTIVE = re.compile(r"^objective=(\w+)", re.MULTILINE)


def lightgbm_model(content: bytes) -> NativeModel:
    """A model that `save_model` wrote as text; raises whatever LightGBM raises.

    The objectives `binary`, `multiclass` and `multiclassova` are classifiers. The others answer numbers. A model
    without an objective was trained on a function of the user's own, and answers its scores.
    """
    import lightgbm  # noqa: PLC0415  loaded by those alone who have such a model

    text = content.decode("utf-8")
    booster = lightgbm.Booster(model_str=text)
    found = _OBJECTIVE.search(text.partition("\nTree=0\n")[0])
    several = booster.num_model_per_iteration()
    classes = {"binary": 2, "multiclass": several, "multiclassova": several}.get(found[1] if found else "", 0)

    def raw(rows: Any) -> Any:
        return booster.predict(rows, num_threads=1)

    given = (booster, raw, booster.num_feature(), booster.feature_name())
    takes_frames = bool(booster.pandas_categorical)
    if classes:
        return NativeClassifier(*given, classes=classes, takes_frames=takes_frames)
    return NativeModel(*given, takes_frames=takes_frames)
