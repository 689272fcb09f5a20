"""Frames of every kind of column, the rows that a client makes of them, and the labels that follow from them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

ROWS = 96
#: The two columns of the kind in question, and two of plain numbers.
ODD, NUMBERS = ["Deck €", "p class"], ["a", "b"]
_DAYS = ["2024-02-29", "1969-07-20", "2030-12-31", "2001-01-01"]
_INSTANTS = ["2024-02-29T12:30:00", "1969-07-20T20:17:40", "2030-12-31T23:59:59", "2001-01-01T00:00:00"]
#: By name: the values of its four codes, the dtype of the column, and whether it can have missing values.
COLUMNS: dict[str, tuple[list[Any], str, bool]] = {
    "float64": ([1.0, 2.0, 2.5, 7.0], "float64", True),
    "whole floats": ([1.0, 2.0, 3.0, 40.0], "float64", True),
    "float32": ([0.1, 0.2, 1 / 3, 7.0], "float32", True),
    "Float64": ([1.0, 2.5, -3.0, 1e9], "Float64", True),
    "objects of floats": ([1.0, 2.5, -3.0, 0.0], "object", True),
    "int64": ([0, 1, 2, 3], "int64", False),
    "int64 with gaps": ([3, 70, 71, 5000], "int64", False),
    "int8": ([-7, 0, 5, 127], "int8", False),
    "Int64": ([-1, 3, 70, 71], "Int64", True),
    "objects of integers": ([1, 2, 3, 40], "object", True),
    "bool": ([False, True, True, False], "bool", False),
    "boolean": ([False, True, True, False], "boolean", True),
    "objects of truth values": ([False, True, True, False], "object", True),
    "texts": (["north", "Süd", "o'east", "West, far"], "object", True),
    "str": (["north", "Süd", "o'east", "West, far"], "str", True),
    "string": (["north", "Süd", "o'east", "West, far"], "string", True),
    "digits": (["02139", "10115", "00001", "90210"], "object", True),
    "words for nothing": (["NA", "None", "null", "x"], "str", True),
    "texts with an empty one": (["", "yes", " zig", "wow "], "str", True),
    "texts of truth values": (["True", "False", "true", "maybe"], "str", True),
    "categories of texts": (["low", "mid", "high", "02"], "category", True),
    "categories of integers": ([1, 2, 3, 10], "category", True),
    "categories of floats": ([0.5, 1.0, 2.0, 10.25], "category", True),
    "categories of truth values": ([False, True, True, False], "category", True),
    "categories of digits": (["1", "2", "03", "10"], "category", True),
    "ordered categories": (["small", "medium", "large", "huge"], "ordered", True),
    "datetime64[ns]": (_INSTANTS, "datetime64[ns]", True),
    "datetime64[s]": (_DAYS, "datetime64[s]", True),
    "texts of days": (_DAYS, "object", True),
    "texts of instants": (_INSTANTS, "str", True),
}  # fmt: skip
#: Kinds of columns with something in common.
FLOATS = {"float64", "whole floats", "float32"}
PLAIN_NUMBERS = FLOATS | {"int64", "int64 with gaps", "int8", "bool"}
NULLABLE_NUMBERS = {"Float64", "Int64", "boolean"}
OBJECT_NUMBERS = {"objects of floats", "objects of integers", "objects of truth values"}
TEXTS = {name for name, (_, dtype, _) in COLUMNS.items() if dtype in {"str", "string"}} | {
    "texts",
    "digits",
    "texts of days",
}
CATEGORIES = {name for name, (_, dtype, _) in COLUMNS.items() if dtype in {"category", "ordered"}}
DATES = {"datetime64[ns]", "datetime64[s]"}


def frame_of(kind: str, *, is_missing: bool, is_turned: bool, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame of two columns of that kind and two of numbers, and a score that depends on all of them.

    `is_turned` puts the numbers first.
    """
    random = np.random.default_rng(seed)
    codes = np.stack([np.arange(ROWS) % 4, random.integers(0, 4, ROWS)])
    numbers = random.normal(size=(2, ROWS)).round(4)
    columns = {name: column_of(kind, each, is_missing=is_missing) for name, each in zip(ODD, codes, strict=True)}
    columns |= {name: pd.Series(each) for name, each in zip(NUMBERS, numbers, strict=True)}
    if is_missing:
        columns["a"] = columns["a"].mask(np.arange(ROWS) % 13 == 5)
    order = [*NUMBERS, *ODD] if is_turned else [*ODD, *NUMBERS]
    return pd.DataFrame(columns)[order], codes[0] - 1.5 + 0.5 * codes[1] + numbers[0] - 0.5 * numbers[1]


def column_of(kind: str, codes: np.ndarray, *, is_missing: bool) -> pd.Series:
    values, dtype, _ = COLUMNS[kind]
    found: list[Any] = [values[code] for code in codes]
    if is_missing:
        found = [None if place % 11 == 3 else value for place, value in enumerate(found)]
    if dtype == "category":
        return pd.Series(pd.Categorical(found, categories=list(dict.fromkeys(values))))
    if dtype == "ordered":
        return pd.Series(pd.Categorical(found, categories=values, ordered=True))
    if dtype == "object":
        return pd.Series([np.nan if value is None else value for value in found], dtype=object)
    if dtype.startswith("datetime"):
        return pd.Series(pd.to_datetime(pd.Series(found, dtype="str"))).astype(dtype)
    return pd.Series(found, dtype=dtype)


def json_rows(frame: pd.DataFrame) -> list[list[Any]]:
    """The rows as a client writes them: null for what is missing, an ISO text for an instant."""
    columns = [[plain(value) for value in frame[name].astype(object).tolist()] for name in frame.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return value.isoformat() if isinstance(value, dt.date) else value


LABELS = ["int", "binary", "int with gaps", "text", "bool", "float", "column of int", "column of float",
          "two of float", "two of int", "many", "many, sparse", "nothing"]  # fmt: skip


def labels_of(kind: str, score: np.ndarray) -> Any:
    """A target of that kind that follows from the score."""
    third = np.digitize(score, np.quantile(score, [0.33, 0.66]))
    high, positive = score > np.quantile(score, 0.7), score > np.median(score)
    many = np.column_stack([positive, high, third == 1]).astype(int)
    made: dict[str, Any] = {
        "int": third,
        "binary": positive.astype(int),
        "int with gaps": np.array([-1, 4, 70])[third],
        "text": np.array(["low", "mid", "über"], dtype=object)[third],
        "bool": positive,
        "float": score * 1.7 + 0.1,
        "column of int": third.reshape(-1, 1),
        "column of float": (score * 1.7).reshape(-1, 1),
        "two of float": np.column_stack([score, 1 - score**2]),
        "two of int": np.column_stack([third, np.where(positive, 7, 9)]),
        "many": many,
        "many, sparse": sparse.csr_matrix(many),
        "nothing": None,
    }
    return made[kind]
