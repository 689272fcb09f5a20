"""Integers in samples that are too long for JSON's readers, such as ids of 18 digits."""

from __future__ import annotations

import io
import re
from typing import Any

import pandas as pd

from examination.columns.given_schema import RefusedSchema
from inference.rows.integers import MAX_INTEGER

_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")


def check_integers(name: str, column: Any) -> None:
    """Raises `RefusedSchema` for a column with integers that a float64 does not tell apart."""
    values = column.cat.categories if str(column.dtype) == "category" else column
    if values.dtype.kind == "O":
        values = [each for each in values if isinstance(each, int)]
    elif values.dtype.kind not in "iu":
        return
    found = pd.Series(values).dropna()
    if len(found) and max(-int(found.min()), int(found.max())) > MAX_INTEGER:
        raise RefusedSchema(
            f"the column {name} has integers beyond 2**53, which readers of JSON round: train the model on texts"
            " instead, and give a sample with texts (Parquet keeps them texts)"
        )


def with_exact_integers(frame: Any, csv: bytes) -> Any:
    """The frame, with long integers as they stand in the CSV: pandas reads floats where some are missing."""
    suspect = [name for name in frame.columns if frame[name].dtype.kind == "f" and _has_long(frame[name])]
    if not suspect:
        return frame
    texts = pd.read_csv(io.BytesIO(csv), nrows=len(frame), dtype=str)
    for name in suspect:
        written = texts[name].to_list()
        if all(isinstance(each, float) or _WHOLE.fullmatch(each) for each in written):
            exact = [None if isinstance(each, float) else int(each) for each in written]
            frame[name] = pd.Series(exact, dtype=object)
    return frame


def _has_long(column: Any) -> bool:
    return bool((column.abs() >= MAX_INTEGER).any())
