"""The knowledge that a model's parts have of its columns, followed from the columns as they come to each part.

Encoders know categories wherever they stand: behind an imputer, in a pipeline in a ColumnTransformer, within the parts
of a meta-estimator. A step whose outputs cannot be told from its inputs hides what stands behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from examination.columns.boosters import known_columns
from examination.columns.categories import Categories
from inference.estimators import is_own_code

#: Positions of columns as the whole model takes them; None for a column that a step has made. An empty list says that
#: nothing is known of the columns, nor how many they are.
Columns = list[int | None]

_KEEPING = frozenset({"StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler", "KNNImputer"})
#: The attributes under which meta-estimators keep fitted parts that take what they take.
_WRAPPED = ("best_estimator_", "estimator_", "regressor_", "estimators_", "calibrated_classifiers_", "estimator")


def known_by_parts(estimator: Any, names: Sequence[str]) -> dict[int, Categories]:
    """The knowledge of the model's parts, by the positions of columns. `names` are the model's own names of them."""
    found: dict[int, Categories] = {}
    for part, columns in _parts(estimator, list(range(len(names))), list(names)):
        for place, known in _learnt(part, len(columns)).items():
            position = columns[place]
            if position is not None:
                found[position] = _both(found.get(position), known)
    return found


def _both(one: Categories | None, other: Categories) -> Categories:
    """The knowledge of two parts of one column together: a closed one refuses what the other would take."""
    if one is None or (other.is_closed and not one.is_closed) or (other.is_dtype and not one.is_dtype):
        return other
    if one.is_closed and other.is_closed and one.type == other.type and not one.is_dtype:
        common = [value for value in one.learnt if value in other.learnt]
        nulls = [None if one.has_none else math.nan] if one.has_null and other.has_null else []
        return Categories([*common, *nulls], is_closed=True, are_float32=one.are_float32 and other.are_float32)
    return one


def _parts(estimator: Any, columns: Columns, names: Sequence[str]) -> Iterator[tuple[Any, Columns]]:
    """The parts that see columns as they come, with the columns that each sees. `names` are those of all columns."""
    if hasattr(estimator, "transformers_"):
        for _, step, chosen in estimator.transformers_:
            if not isinstance(step, str):
                yield from _parts(step, [columns[place] for place in _places(chosen, estimator, names, columns)], names)
    elif hasattr(estimator, "transformer_list"):
        for _, step in estimator.transformer_list:
            yield from _parts(step, columns, names)
    elif hasattr(estimator, "steps"):
        for _, step in estimator.steps:
            yield from _parts(step, columns, names)
            columns = _after(step, columns, names)
    else:
        yield estimator, columns
        for wrapped, taken in _wrapped(estimator, columns):
            yield from _parts(wrapped, taken, names)


def _wrapped(estimator: Any, columns: Columns) -> Iterator[tuple[Any, Columns]]:
    """The fitted parts of a meta-estimator, with the columns that each of them takes."""
    preprocessor = attribute(estimator, "_preprocessor")
    if preprocessor is not None and hasattr(preprocessor, "transformers_"):
        # HistGradientBoosting keeps its encoder of categories there.
        yield preprocessor, columns
    if hasattr(estimator, "get_support"):
        # It gives its part a choice of columns only.
        return
    chosen = attribute(estimator, "estimators_features_") or []
    for name in _WRAPPED:
        value = getattr(estimator, "__dict__", {}).get(name)
        if name == "estimator" and not type(estimator).__name__.startswith(("_Calibrated", "Frozen")):
            continue
        parts = np.array(value, dtype=object).ravel() if isinstance(value, list | np.ndarray) else [value]
        for number, part in enumerate(parts):
            if hasattr(part, "fit") or hasattr(part, "estimator"):
                is_choice = number < len(chosen) and len(columns) > 0
                taken = [columns[place] for place in chosen[number] if place < len(columns)] if is_choice else columns
                yield part, taken


def _places(chosen: Any, transformer: Any, names: Sequence[str], columns: Columns) -> list[int]:
    """The places, among a ColumnTransformer's columns, of those that it gives to a step."""
    own = attribute(transformer, "feature_names_in_")
    known = [names[at] if at is not None else "" for at in columns] if own is None else [str(name) for name in own]
    count = len(columns)
    if isinstance(chosen, slice):
        ends = [chosen.start, chosen.stop]
        if any(isinstance(end, str) for end in ends):
            # A slice of labels has its end within.
            start, stop = (None if end is None else known.index(end) for end in ends)
            return list(range(count))[slice(start, None if stop is None else stop + 1, chosen.step)]
        return list(range(count))[chosen]
    values = [chosen] if isinstance(chosen, str) else np.asarray(chosen).ravel().tolist()
    if values and all(isinstance(value, bool) for value in values):
        return [place for place, is_in in enumerate(values[:count]) if is_in]
    places = [known.index(value) if isinstance(value, str) else int(value) for value in values]
    # A chain's later parts count columns that earlier parts have made.
    return [place % count for place in places if -count <= place < count]


def _after(step: Any, columns: Columns, names: Sequence[str]) -> Columns:
    """The columns that come out of a step, as far as they are columns that went in."""
    if isinstance(step, str):
        return columns if step == "passthrough" else []
    if hasattr(step, "steps"):
        for _, inner in step.steps:
            columns = _after(inner, columns, names)
        return columns
    if hasattr(step, "transformers_"):
        return _after_columns(step, columns, names)
    if hasattr(step, "transformer_list"):
        return [each for _, inner in step.transformer_list for each in _after(inner, columns, names)]
    return _after_one(step, columns)


def _after_one(step: Any, columns: Columns) -> Columns:
    name = type(step).__name__
    if name == "SimpleImputer" and hasattr(step, "statistics_"):
        return _after_imputer(step, columns)
    if hasattr(step, "get_support"):
        return [columns[place] for place in step.get_support(indices=True) if place < len(columns)]
    is_identity = name == "FunctionTransformer" and getattr(step, "func", step) is None
    return columns if is_identity or name in _KEEPING else []


def _after_columns(step: Any, columns: Columns, names: Sequence[str]) -> Columns:
    found: Columns = []
    for name, inner, chosen in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        own = _after(inner, [columns[place] for place in _places(chosen, step, names, columns)], names)
        width = step.output_indices_[name]
        count = width.stop - width.start
        found += own if len(own) == count else [None] * count
    return found


def _after_imputer(step: Any, columns: Columns) -> Columns:
    """An imputer leaves out columns that had no value, and may add a column for each that had gaps."""
    keeps_all = getattr(step, "keep_empty_features", False)
    is_empty = [each != each for each in step.statistics_.tolist()]  # noqa: PLR0124  NaN is not itself
    kept = [column for column, gone in zip(columns, is_empty, strict=False) if keeps_all or not gone]
    indicator = getattr(step, "indicator_", None)
    return kept + [None] * (0 if indicator is None else len(indicator.features_))


def _learnt(part: Any, count: int) -> dict[int, Categories]:
    """The knowledge of a part that sees `count` columns, by their places among those."""
    name = type(part).__name__
    if name.endswith("Vectorizer") and name != "DictVectorizer":
        return {place: Categories(is_text=True) for place in range(count)}
    if booster := known_columns(part):
        return {place: known for place, known in booster.items() if place < count}
    learnt = attribute(part, "categories_")
    if learnt is None or isinstance(learnt, str) or len(learnt) != count:
        return {}
    is_closed = getattr(part, "handle_unknown", "error") == "error" and not name.startswith("Target")
    return {
        place: Categories(
            list(values),
            is_closed=is_closed,
            are_objects=np.asarray(values).dtype == object,
            are_float32=np.asarray(values).dtype == np.float32,
        )
        for place, values in enumerate(learnt)
    }


def seen_by_own_code(estimator: Any, names: Sequence[str]) -> dict[int, str]:
    """The columns, by position, that code of the model's maker sees as they come, with the type of that part."""
    return {
        position: type(part).__name__
        for part, columns in _parts(estimator, list(range(len(names))), list(names))
        if is_own_code(part)
        for position in columns
        if position is not None
    }


def filled_as_floats(estimator: Any, names: Sequence[str]) -> list[list[int]]:
    """The columns, by position, that each imputer fills with a constant among floats.

    It refuses whole numbers alone. Pandas' `Int64` comes to it as floats, and a CSV file does not say that it was that.
    """
    return [
        [position for position in columns if position is not None]
        for part, columns in _parts(estimator, list(range(len(names))), list(names))
        if type(part).__name__ == "SimpleImputer" and part.strategy == "constant"
        if getattr(attribute(part, "_fit_dtype"), "kind", "") == "f"
    ]


def known_dictionaries(estimator: Any) -> dict[str, Categories] | None:
    """The knowledge that a model has of the members of dictionaries that it takes; None if it takes no dictionaries.

    A DictVectorizer has a number for each member, and for each text that a member had (`city=Rome`).
    """
    first = first_step(estimator)
    name = type(first).__name__
    if name == "FeatureHasher" and first.input_type == "dict":
        return {}
    if name != "DictVectorizer":
        return None
    found: dict[str, list[str]] = {}
    for own in attribute(first, "feature_names_") or []:
        member, separator, value = str(own).partition(first.separator)
        found.setdefault(member, []).extend([value] if separator else [])
    return {member: Categories(values) for member, values in found.items()}


def takes_texts(estimator: Any) -> bool:
    """Whether a model takes texts, one for each row: its first step is a vectorizer of texts."""
    name = type(first_step(estimator)).__name__
    return name.endswith("Vectorizer") and name != "DictVectorizer"


def first_step(estimator: Any) -> Any:
    """The first step of a model, or of a model within it that takes the same rows."""
    while True:
        steps = attribute(estimator, "steps")
        wrapped = [part for part, _ in _wrapped(estimator, [])] if not steps else []
        if not steps and not wrapped:
            return estimator
        estimator = steps[0][1] if steps else wrapped[0]


def attribute(estimator: Any, name: str) -> Any:
    """An attribute of an estimator, or None if it does not exist or asking raises."""
    try:
        return getattr(estimator, name, None)
    except Exception:  # noqa: BLE001  a pipeline asks its first step, which may raise anything
        return None
