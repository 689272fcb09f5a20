"""The knowledge that a fitted booster has of its columns: categories, that one is text, or that it has codes.

LightGBM, XGBoost and CatBoost take numbers for their own codes of categories without a word, so that rows must come as
the columns on which they were trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from examination.columns.categories import Categories, type_of
from inference.files.catboost_files import names_of

NOT_ASCII = (
    "XGBoost keeps categories with letters beyond ASCII wrongly (it counts letters, not bytes): give the sample as"
    " Parquet, with the categories that the model was trained on"
)
NARROW = "its categories are {kind}, and rows of JSON have int64: train on .astype('int64').astype('category')"
UNPLACED = (
    "LightGBM does not say which of its columns have its categories: give the sample as Parquet, with the types that"
    " the columns were trained on"
)
OF_SEVERAL_TYPES = "its categories are not all texts, all integers, all numbers or all truth values: make them texts"
EMBEDDING = "it is an embedding, which a row of JSON has no form for: train on a feature for each of its numbers"

_CATEGORICAL = re.compile(r"^\[categorical_feature: ([\d,]*)\]$", re.MULTILINE)
_INFOS = re.compile(r"^feature_infos=(.*)$", re.MULTILINE)


def known_columns(part: Any) -> dict[int, Categories]:
    """The columns, by position, of which a fitted booster knows more than that they are numbers.

    It is empty for anything else.

    `part` is an estimator of one of the libraries, its bare booster, or the model of a booster's own file.
    """
    booster: Any = getattr(part, "booster", None) if _is_of(part, "inference") else part
    try:
        if _is_of(booster, "lightgbm"):
            return _of_lightgbm(getattr(booster, "booster_", booster))
        if _is_of(booster, "xgboost"):
            return _of_xgboost(booster.get_booster() if hasattr(booster, "get_booster") else booster)
        if _is_of(booster, "catboost"):
            return _of_catboost(booster)
    except Exception:  # noqa: BLE001  an unfitted part raises, and each library an error of its own
        return {}
    return {}


def is_shown(known: Categories, name: str, sample: Any | None) -> bool:
    """Whether a sample, which is a data frame, shows the categories of a column that cannot be read in the model."""
    dtypes = {} if sample is None else {column: str(dtype) for column, dtype in sample.dtypes.items()}
    if known.unreadable == UNPLACED:
        # LightGBM itself refuses another number of such columns.
        return "category" in dtypes.values()
    if known.unreadable == NOT_ASCII and sample is not None and dtypes[name] == "category":
        return _kept_by_xgboost(sample[name].cat.categories.tolist()) == known.learnt
    return False


def _kept_by_xgboost(categories: Sequence[str]) -> list[bytes]:
    """Texts as XGBoost 3.1 and 3.2 cut them: where each would end if every letter were one byte."""
    whole, ends = "".join(categories).encode(), list(accumulate(map(len, categories), initial=0))
    return [whole[start:end] for start, end in pairwise(ends)]


def column_names(part: Any) -> list[str] | int | None:
    """The names of a CatBoost model's columns, or their number if it has none; None for anything else.

    CatBoost has no `feature_names_in_`, and its `n_features_in_` is 0 after it was loaded.
    """
    if not _is_of(part, "catboost") or not part.is_fitted():
        return None
    return names_of(part) or len(part.feature_names_)


def _is_of(part: Any, library: str) -> bool:
    """Whether its class, or one that it inherits from, is the library's."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(part).__mro__)


def _categories(values: Sequence[Any]) -> Categories:
    if values and type_of(values) is None:
        return Categories(unreadable=OF_SEVERAL_TYPES)
    return Categories(values, is_dtype=True)


def _of_xgboost(booster: Any) -> dict[int, Categories]:
    categorical = [place for place, kind in enumerate(booster.feature_types or ()) if kind == "c"]
    if not categorical:
        return {}
    known = booster.get_categories(export_to_arrow=True).to_arrow()
    return {place: _of_arrow(known[place][1]) for place in categorical}


def _of_arrow(array: Any) -> Categories:
    """The categories that XGBoost has kept of a column; none if it was trained on codes."""
    if array is None:
        return Categories(are_codes=True)
    if str(array.type) in {"string", "large_string"}:
        # Texts with other letters were cut in wrong places when the model was trained (dmlc/xgboost#12360).
        kept = [
            bytes(each) for each in array.cast("large_binary" if "large" in str(array.type) else "binary").to_pylist()
        ]
        if not all(map(bytes.isascii, kept)):
            return Categories(kept, unreadable=NOT_ASCII)
    elif str(array.type) != "int64":
        return Categories(unreadable=NARROW.format(kind=array.type))
    return _categories(array.to_pylist())


def _of_lightgbm(booster: Any) -> dict[int, Categories]:
    """The lists of categories are those of the training frame's category columns, from left to right.

    The model does not say which columns those were. `categorical_feature` names columns that it splits by category: it
    lacks ordered ones, and has columns of codes beside.
    """
    header = booster.model_to_string(num_iteration=1)
    found = _CATEGORICAL.search(header)
    declared = [int(place) for place in found[1].split(",") if place] if found else []
    infos = _INFOS.search(header)
    lists: list[list[Any]] = booster.pandas_categorical or []
    places = _places(lists, declared, infos[1].split(" ") if infos else [])
    if places is None:
        return dict.fromkeys(declared or range(booster.num_feature()), Categories(unreadable=UNPLACED))
    codes = dict.fromkeys(declared, Categories(are_codes=True))
    return codes | {place: _categories(values) for place, values in zip(places, lists, strict=True)}


def _places(lists: Sequence[Sequence[Any]], declared: Sequence[int], infos: Sequence[str]) -> list[int] | None:
    """The columns that the lists of categories belong to; None unless there is one possibility."""
    if len(lists) == len(declared) and all(_fits(infos[at], len(of)) for at, of in zip(declared, lists, strict=True)):
        # A list could still be that of a column that was named in no `categorical_feature`, and a declared column have
        # codes. Callers would notice where the list is of texts, and not where it is of numbers.
        ranges = {f"[0:{len(of) - 1}]" for of in lists if not all(isinstance(each, str | bool) for each in of)}
        return list(declared) if ranges.isdisjoint(infos) else None
    columns = list(declared) if len(lists) < len(declared) else list(range(len(infos)))
    from_left = _matched(lists, columns, infos)
    from_right = _matched(lists[::-1], columns[::-1], infos)
    return from_left if from_left is not None and from_right == from_left[::-1] else None


def _matched(lists: Sequence[Sequence[Any]], columns: Sequence[int], infos: Sequence[str]) -> list[int] | None:
    """For each list in turn the next column that can have its codes."""
    found: list[int] = []
    waiting = iter(columns)
    for values in lists:
        place = next((column for column in waiting if _fits(infos[column], len(values))), None)
        if place is None:
            return None
        found.append(place)
    return found


def _fits(info: str, count: int) -> bool:
    """Whether a column has had no other codes than those of so many categories, by LightGBM's notes of its values.

    It notes a column's range as `[0:2]`, and a categorical column's codes as `-1:2:0` (-1 is a missing value).
    """
    if info == "none":
        return True
    values = [float(each) for each in info.strip("[]").split(":")]
    return all(value.is_integer() and -1 <= value < count for value in values)


def _of_catboost(model: Any) -> dict[int, Categories]:
    if not model.is_fitted():
        return {}
    return {
        **dict.fromkeys(model.get_cat_feature_indices(), Categories(are_digests=True)),
        **dict.fromkeys(model.get_text_feature_indices(), Categories(is_text=True)),
        **dict.fromkeys(model.get_embedding_feature_indices(), Categories(unreadable=EMBEDDING)),
    }
