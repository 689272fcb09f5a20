"""The object in a file, before anything is asked of it: a model, or words about the thing that was saved instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from examination.columns.encoders import attribute
from inference.files.onnx_files import OnnxModel
from inference.files.refused import RefusedFile

_MAX_NAMED = 10
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w .-]{0,39}", re.ASCII)
_DATA = {"pandas", "numpy", "pyarrow", "polars"}
_NETWORKS = {
    "keras": "Keras",
    "tensorflow": "TensorFlow",
    "torch": "PyTorch",
    "skorch": "skorch",
    "scikeras": "scikeras",
}


def require_model(found: Any) -> None:
    """Raises `RefusedFile` unless the object is a fitted model; the words name types and keys, never a value."""
    if isinstance(found, OnnxModel):
        return
    kind = type(found)
    if inspect.isclass(found):
        raise RefusedFile(f"the file holds the class {found.__name__} and no fitted model: save what fit returned")
    if isinstance(found, Mapping):
        raise RefusedFile(
            f"the file holds a dictionary ({_members(found)}): save the model itself, as one pipeline with all that its"
            " rows go through: joblib.dump(make_pipeline(scaler, model), ...)"
        )
    if isinstance(found, list | tuple | set | frozenset):
        raise RefusedFile(
            f"the file holds a {kind.__name__} of {len(found)} ({_types(list(found))}): save the model itself, as one"
            " pipeline with all that its rows go through: joblib.dump(make_pipeline(scaler, model), ...)"
        )
    if (network := _NETWORKS.get(_library(found))) is not None:
        raise RefusedFile(f"the file holds a model of {network} ({kind.__name__}): export it to ONNX and register that")
    if attribute(found, "predict") is None:
        _refuse_what_predicts_nothing(found)
    if _is_unfitted(found):
        raise RefusedFile(f"the file holds a {kind.__name__} that was never fitted: call fit before it is saved")


def _refuse_what_predicts_nothing(found: Any) -> None:
    kind = type(found)
    if callable(found) and not hasattr(found, "fit"):
        raise RefusedFile(f"the file holds a {kind.__name__}: save a fitted model that has predict")
    if _library(found) in _DATA:
        raise RefusedFile(
            f"the file holds a {kind.__name__}, which is data: save the fitted model; rows like those of the training"
            " are given as --sample"
        )
    if hasattr(found, "transform"):
        raise RefusedFile(
            f"the file holds a {kind.__name__}, which transforms rows and predicts nothing: save the pipeline that ends"
            " in the model"
        )
    if hasattr(found, "fit"):
        raise RefusedFile(
            f"the file holds a {kind.__name__}, which has no predict for rows that it was not fitted on: fit a model"
            " that has one"
        )
    raise RefusedFile(f"the file holds a {kind.__name__}, which has no predict: save the fitted model itself")


def _library(found: Any) -> str:
    return type(found).__module__.partition(".")[0]


def _members(found: Mapping[Any, Any]) -> str:
    """The keys that are plain short names, with the types behind them."""
    named = [f"{key}: {_type(value)}" for key, value in found.items() if _is_plain(key)][:_MAX_NAMED]
    others = len(found) - len(named)
    return ", ".join(named + ([f"{others} more"] if others else [])) or "empty"


def _types(found: list[Any]) -> str:
    others = len(found) - _MAX_NAMED
    return ", ".join([*map(_type, found[:_MAX_NAMED]), *([f"{others} more"] if others > 0 else [])]) or "empty"


def _type(value: Any) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else type(value).__name__


def _is_plain(key: Any) -> bool:
    return isinstance(key, str) and _PLAIN_NAME.fullmatch(key) is not None


def _is_unfitted(found: Any) -> bool:
    """Whether the model itself says so; where only its last step can, that one is asked."""
    steps = attribute(found, "steps")
    if _library(found) == "sklearn" and isinstance(steps, list) and steps:
        return _is_unfitted(steps[-1][1])
    from sklearn.base import BaseEstimator  # noqa: PLC0415  loaded already, where a file was opened
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415  the same
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415  the same

    says_so = hasattr(type(found), "__sklearn_is_fitted__")
    # Own classes may keep what they learnt under any name: only those who say so are believed.
    if not says_so and not (isinstance(found, BaseEstimator) and _library(found) == "sklearn"):
        return False
    try:
        check_is_fitted(found)
    except NotFittedError:
        return True
    except Exception:  # noqa: BLE001  a model may raise anything
        return False
    return False
