"""Rows in the forms that estimators take: a matrix of numbers, a data frame of typed columns, or a list of texts.

Registration tries each form that an estimator could want.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference.features import is_nullable, kind_of

Row = Mapping[str, Any]
Kind = Literal["matrix", "frame", "texts"]
Inputs = Callable[[Sequence[Row]], Any]


def inputs_of(kind: Kind, document: Mapping[str, Any]) -> Inputs:
    """A function that turns rows of that JSON Schema into the input of an estimator of that kind."""
    properties: Mapping[str, Mapping[str, Any]] = document["properties"]
    if kind == "matrix":
        return matrix_of(list(properties))
    if kind == "texts":
        (name,) = properties
        return lambda rows: [row[name] for row in rows]
    return _frame_of(properties)


def matrix_of(names: Sequence[str]) -> Callable[[Sequence[Row]], NDArray[np.float64]]:
    """Rows as float64 of shape (rows, features); `null` is NaN."""
    values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    return lambda rows: np.array([values(row) for row in rows], dtype=np.float64)


def _frame_of(properties: Mapping[str, Mapping[str, Any]]) -> Inputs:
    import pandas as pd  # noqa: PLC0415  half a second and 30 MB, for models that were trained on data frames only

    columns = {name: _column_of(name, spec, pd) for name, spec in properties.items()}
    return lambda rows: pd.DataFrame({name: column([row[name] for row in rows]) for name, column in columns.items()})


def _column_of(name: str, spec: Mapping[str, Any], pd: Any) -> Callable[[list[Any]], Any]:
    """A function that makes a column of the type that pandas gives it from CSV; missing values are NaN."""
    kind = kind_of(name, spec)
    if spec.get("x-dtype") == "category":
        categories = spec["enum"]
        return lambda values: pd.Categorical(values, categories=categories)
    if kind == "number" or (kind == "integer" and is_nullable(spec)):
        return lambda values: np.array(values, dtype=np.float64)
    if kind == "integer":
        return lambda values: np.array(values, dtype=np.int64)
    if kind == "boolean" and not is_nullable(spec):
        return lambda values: np.array(values, dtype=np.bool_)

    def objects(values: list[Any]) -> Any:
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)

    return objects
