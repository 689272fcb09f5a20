"""The parts of an estimator: steps, members, transformers and everything else that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

_OURS = ("sklearn.", "numpy", "scipy.")
_LIBRARIES = frozenset({"sklearn", "lightgbm", "xgboost", "catboost", "inference"})


def parts_of(estimator: Any) -> list[Any]:
    """The estimator and every estimator within it, each once."""
    found: dict[int, Any] = {}
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if id(part) not in found:
            found[id(part)] = part
            waiting += [value for value in _values_of(part) if _is_part(value)]
    return list(found.values())


def _is_part(value: Any) -> bool:
    """Whether it is an estimator, or what scikit-learn itself wraps one in (such as each fold of a calibration)."""
    is_of_sklearn = type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__")
    return not isinstance(value, type) and (hasattr(value, "get_params") or is_of_sklearn)


def is_scikit_learns_own(estimator: Any) -> bool:
    """Whether all of it is scikit-learn's code: a user's own could take as long as it likes."""
    return all(
        type(part).__module__.startswith("sklearn.") and not has_own_function(part) for part in parts_of(estimator)
    )


def is_own_code(part: Any) -> bool:
    """Whether a part is code of the model's maker: neither scikit-learn's nor a booster's, or a function within."""
    library = type(part).__module__.partition(".")[0]
    return library not in _LIBRARIES or (library == "sklearn" and has_own_function(part))


def has_own_function(part: Any) -> bool:
    """Whether a part of scikit-learn's holds a function of the model's maker."""
    return any(map(_is_foreign_function, _values_of(part)))


def reads_files(estimator: Any) -> bool:
    """Whether some part of it takes texts for names of files (a vectorizer's `input`), which callers would choose."""
    return any(getattr(part, "input", "content") != "content" for part in parts_of(estimator))


def use_one_thread(estimator: Any) -> None:
    """Many callers keep the processors busy; starting threads for one row costs milliseconds."""
    for part in parts_of(estimator):
        is_booster = type(part).__module__.startswith(("xgboost.", "lightgbm."))
        if is_booster or isinstance(getattr(part, "n_jobs", None), int):
            part.n_jobs = 1
        if is_booster and hasattr(part, "get_booster") and part.__sklearn_is_fitted__():
            # A meta-estimator keeps an unfitted copy beside its fitted parts.
            part.get_booster().set_param({"nthread": 1})
        if type(part).__module__.startswith("catboost."):
            _bind_to_one_thread(part)


def _bind_to_one_thread(model: Any) -> None:
    """CatBoost takes the number of threads with each call alone, and uses all processors unless it is told."""
    for verb in ("predict", "predict_proba"):
        if hasattr(model, verb):
            setattr(model, verb, partial(getattr(model, verb), thread_count=1))


def _values_of(part: Any) -> Iterator[Any]:
    """The values of its attributes, and those in their lists, tuples, dictionaries and arrays of objects."""
    waiting, seen = [getattr(part, "__dict__", {})], set()
    while waiting:
        value = waiting.pop()
        inside = _inside(value)
        if inside is None:
            yield value
        elif id(value) not in seen:
            seen.add(id(value))
            waiting += inside


def _inside(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        items: list[Any] = value.ravel().tolist()
        return items
    return None


def _is_foreign_function(value: Any) -> bool:
    while isinstance(value, partial):
        value = value.func
    if not callable(value) or isinstance(value, type | np.ufunc) or hasattr(value, "get_params"):
        return False
    return not (getattr(value, "__module__", None) or "").startswith(_OURS)
