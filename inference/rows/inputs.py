"""Rows in the forms that estimators take. Registration tries each form that an estimator could want.

They are a matrix of numbers, a matrix of objects, a data frame of typed columns, dictionaries, or a list of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference.rows.columns import column_of

Row = Mapping[str, Any]
Kind = Literal["matrix", "frame", "texts", "objects", "dictionaries"]
Inputs = Callable[[Sequence[Row]], Any]


def inputs_of(kind: Kind, document: Mapping[str, Any]) -> Inputs:
    """A function that turns rows of that JSON Schema into the input of an estimator of that kind."""
    properties: Mapping[str, Mapping[str, Any]] = document["properties"]
    if kind == "matrix":
        return matrix_of(list(properties))
    if kind == "texts":
        (name,) = properties
        return lambda rows: [row[name] for row in rows]
    if kind == "dictionaries":
        # A member that is null is left out, as it is from a dictionary that never had it.
        return lambda rows: [{name: value for name, value in row.items() if value is not None} for row in rows]
    frame = _frame_of(properties)
    if kind == "objects":
        return lambda rows: frame(rows).to_numpy(dtype=object)
    return frame


def matrix_of(names: Sequence[str]) -> Callable[[Sequence[Row]], NDArray[np.float64]]:
    """Rows as float64 of shape (rows, features); `null` is NaN."""
    values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    width = len(names)

    def matrix(rows: Sequence[Row]) -> NDArray[np.float64]:
        # A third less than from a list of tuples.
        flat = np.fromiter(chain.from_iterable(map(values, rows)), np.float64, len(rows) * width)
        return flat.reshape(len(rows), width)

    return matrix


def _frame_of(properties: Mapping[str, Mapping[str, Any]]) -> Inputs:
    import pandas as pd  # noqa: PLC0415  half a second and 30 MB, for models that were trained on data frames only

    columns = {name: column_of(name, spec, pd) for name, spec in properties.items()}
    return lambda rows: pd.DataFrame({name: column([row[name] for row in rows]) for name, column in columns.items()})
