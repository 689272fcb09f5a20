"""The columns of a sample, in the types that the model was trained on, and their values as JSON writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from examination.columns.categories import Categories, plain
from inference.rows.columns import check_dtype, column_of
from inference.rows.features import UnsupportedSchema
from inference.rows.inputs import Row

USE_PARQUET = "give the sample as Parquet (frame.to_parquet), which keeps the columns' types"
_INSTANTS = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?"),
}
#: A whole number as Python writes it, within the integers that JSON tells apart.
_INTEGER = re.compile(r"0|-?[1-9]\d{0,14}")
#: The texts that pandas reads as whole numbers.
_READ_AS_INTEGER = re.compile(r"\s*[+-]?\d+\s*")


class RefusedSample(Exception):
    """The sample cannot be read, or does not fit the model; the words are for the operator."""


def typed(column: Any, known: Categories) -> Any:
    """The column in the type that the model's part knows it in."""
    if known.has_none or column.dtype == object:
        # A file has one kind of missing value; encoders tell None and NaN apart.
        column = column.astype(object).where(column.notna(), None if known.has_none else np.nan)
    if known.are_float32 and column.dtype.kind in "iuf":
        return column.astype(np.float32)
    if known.is_dtype:
        is_ordered = str(column.dtype) == "category" and column.cat.ordered
        values = [_as_known(value, known) for value in column.tolist()]
        return pd.Series(pd.Categorical(values, categories=known.learnt, ordered=is_ordered), index=column.index)
    if known.are_instants and column.dtype.kind != "M" and not all(map(_is_date, column.dropna())):
        return pd.to_datetime(column, format="ISO8601")
    if known.are_objects and known.type != "string" and column.dtype.kind in "iufb":
        return column.astype(object)
    if known.type == "boolean" and column.dropna().isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    return column


def of_digests(column: Any, given: Mapping[str, Any]) -> Any:
    """Texts of a CSV file as the categories that they were: integers, or texts, unless the schema says otherwise.

    Raises `RefusedSample` where the same file may have been written of other categories.
    """
    texts, kind = column.tolist(), str(given.get("type", ""))
    are_truths = {*texts} <= {"True", "False"}
    if all(map(_INTEGER.fullmatch, texts)) and "string" not in kind:
        return column.astype("int64")
    if are_truths and "boolean" in kind:
        return column == "True"
    if not kind and (are_truths or all(map(_READ_AS_INTEGER.fullmatch, texts))):
        raise RefusedSample(
            f"the column {column.name} has categories that CatBoost knows by their texts, and a CSV file does not say"
            f" whether those were as in the file (True, 02139) or as pandas reads it (1, 2139): {USE_PARQUET}, or give"
            " the column's type in --schema"
        )
    return column


def _as_known(value: Any, known: Categories) -> Any:
    """The value in the type of the categories: a CSV file has whole numbers as floats where some are missing."""
    value = plain(value)
    if known.type == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if known.type == "boolean" and value in ("True", "False"):
        return value == "True"
    return value


def as_given(name: str, column: Any, spec: Mapping[str, Any]) -> Any:
    """The column in the type that the operator's schema says. Raises `RefusedSample` if its values do not fit."""
    try:
        check_dtype(name, spec)
        return pd.Series(column_of(name, spec, pd)([in_json(value) for value in column.tolist()]), index=column.index)
    except UnsupportedSchema:
        raise
    except Exception as error:  # noqa: BLE001  pandas raises many kinds, and their words may hold values
        raise RefusedSample(
            f"the sample's column {name} cannot be read as {spec['x-dtype']}: {type(error).__name__}; {USE_PARQUET}"
        ) from None


def _is_date(value: Any) -> bool:
    return isinstance(value, date)


def require_known(name: str, column: Any, known: Categories) -> None:
    """Raises `RefusedSample` if the column has none of the values that the model's part has learnt of it."""
    present = {plain(value) for value in column.dropna().tolist()}
    if known.learnt and not known.are_instants and present.isdisjoint(known.learnt) and len(column):
        raise RefusedSample(
            f"the column {name} has no value that the model has learnt of it: if it was trained on other types,"
            f" {USE_PARQUET}"
        )


def with_instants(frame: Any, names: Sequence[str]) -> Any | None:
    """The frame with those of the columns that are ISO dates as instants; None if it has none."""
    found = frame.copy()
    for name in names:
        if str(frame[name].dtype) == "str" and format_of_texts(frame[name]):
            # Instants of which some have an offset are no column of one type.
            with suppress(ValueError):
                found[name] = pd.to_datetime(frame[name], format="ISO8601", utc=_has_offset(frame[name]))
    return None if found.dtypes.equals(frame.dtypes) else found


def format_of_texts(column: Any) -> str | None:
    """The `format` of a column of texts, if all of them are instants of one form."""
    texts = column.dropna().tolist()
    found = next((word for word, form in _INSTANTS.items() if texts and all(map(form.fullmatch, texts))), None)
    try:
        for text in texts if found else ():
            datetime.fromisoformat(text)
    except ValueError:
        # It looks like a date and is none (2024-02-30).
        return None
    return found


def _has_offset(column: Any) -> bool:
    return bool(column.dropna().str.contains(r"[T ].*(?:Z|[+-]\d\d:\d\d)$", regex=True).all())


def rows_of(frame: Any) -> list[Row]:
    """The frame's rows as JSON writes them: missing values are None, numbers are Python's own, instants ISO 8601."""
    columns = {name: [in_json(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def in_json(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool | float) else None
