"""Columns of a data frame, of the types that a model was trained on.

JSON's own type decides a column's type unless the feature's schema has `x-dtype`: `category`, or a type of numpy's or
pandas' by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from inference.outputs import NotComputable
from inference.rows.features import UnsupportedSchema, is_nullable, kind_of

Column = Callable[[list[Any]], Any]

_DATETIMES = re.compile(r"datetime64\[(?P<unit>s|ms|us|ns)(, (?P<zone>[A-Za-z0-9_+:/-]{1,64}))?\]")
_INTEGERS = re.compile(r"u?int(8|16|32|64)", re.IGNORECASE)
_FLOATS = re.compile(r"float(16|32|64)", re.IGNORECASE)
CATEGORIES = frozenset({"category", "ordered category"})
#: The types that pandas has for texts, and the one of Python's own dates.
TEXTS = frozenset({"str", "string", "object", "object with None"})
#: Python's own objects, among which a missing value is None and not NaN: encoders tell the two apart.
WITH_NONE = "object with None"
DATE = "date"


def check_dtype(name: str, spec: Mapping[str, Any]) -> None:
    """Raises `UnsupportedSchema` unless the feature's `x-dtype` is a type that its values can have."""
    dtype, kind = spec.get("x-dtype"), kind_of(name, spec)
    if dtype in CATEGORIES:
        if "enum" not in spec:
            raise UnsupportedSchema(f"feature {name} has x-dtype category and no enum: list its categories there")
    elif dtype is not None and not (isinstance(dtype, str) and _fits(dtype, kind, spec)):
        raise UnsupportedSchema(f"feature {name} has an x-dtype that no {kind} has: leave it out, or name the column's")


def _fits(dtype: str, kind: str, spec: Mapping[str, Any]) -> bool:
    if kind == "string":
        return dtype in TEXTS or ("format" in spec and is_instant(dtype))
    if kind == "boolean":
        return dtype in {"bool", "boolean", "object", WITH_NONE}
    is_float = dtype in {"object", WITH_NONE} or _FLOATS.fullmatch(dtype) is not None
    return is_float or (kind == "integer" and _INTEGERS.fullmatch(dtype) is not None)


def is_instant(dtype: str) -> bool:
    """Whether a column of that type holds instants or dates."""
    return dtype == DATE or _DATETIMES.fullmatch(dtype) is not None


def bounds_of(dtype: str) -> dict[str, int]:
    """The bounds that a column of integers has by its type; none where integers of JSON fit."""
    if not _INTEGERS.fullmatch(dtype) or dtype.lower() in {"int64", "uint64"}:
        return {"minimum": 0} if dtype.lower() == "uint64" else {}
    limits = np.iinfo(dtype.lower())
    return {"minimum": int(limits.min), "maximum": int(limits.max)}


def column_of(name: str, spec: Mapping[str, Any], pd: Any) -> Column:
    """A function that makes the feature's column from JSON's values; None is a missing value.

    The column raises `NotComputable` for rows with a value that its type cannot hold.
    """
    dtype = spec.get("x-dtype")
    if dtype in CATEGORIES:
        whole = pd.CategoricalDtype(spec["enum"], ordered=dtype != "category")
        return lambda values: pd.Categorical(values, dtype=whole)
    if dtype is None:
        return _plain_column(kind_of(name, spec), pd, is_nullable=is_nullable(spec))
    if dtype == DATE:
        return lambda values: _objects([each and date.fromisoformat(each) for each in values], pd)
    if found := _DATETIMES.fullmatch(dtype):
        return lambda values: _instants(values, found["unit"], found["zone"], pd)
    return _of_numpy(dtype, pd)


def _of_numpy(dtype: str, pd: Any) -> Column:
    if dtype == WITH_NONE:
        return lambda values: pd.Series(values, dtype=object)
    if dtype == "object":
        return lambda values: _objects(values, pd)
    if _FLOATS.fullmatch(dtype):
        return lambda values: _floats(values, dtype, pd)
    return lambda values: pd.array(values, dtype=dtype)


def _plain_column(kind: str, pd: Any, *, is_nullable: bool) -> Column:
    """The column that pandas makes of such values in a CSV file; missing values are NaN."""
    if kind == "number" or (kind == "integer" and is_nullable):
        return lambda values: np.array(values, dtype=np.float64)
    if kind == "integer":
        return lambda values: np.array(values, dtype=np.int64)
    if kind == "boolean" and not is_nullable:
        return lambda values: np.array(values, dtype=np.bool_)
    return lambda values: _objects(values, pd)


def _gaps(values: list[Any]) -> list[Any]:
    return [np.nan if value is None else value for value in values]


def _objects(values: list[Any], pd: Any) -> Any:
    return pd.Series(_gaps(values), dtype=object)


def _floats(values: list[Any], dtype: str, pd: Any) -> Any:
    """Floats of a narrower type. Raises `NotComputable` for numbers that it cannot hold."""
    wide = np.array(values, dtype=np.float64)
    beyond = np.abs(wide) > np.finfo(dtype.lower()).max
    if beyond.any():
        raise NotComputable(np.flatnonzero(beyond).tolist())
    if dtype[0] == "F":
        return pd.array(wide, dtype=dtype)
    return wide.astype(dtype)


def _instants(values: list[Any], unit: str, zone: str | None, pd: Any) -> Any:
    """Instants in the column's own time zone. Without one, an instant with an offset is given in UTC.

    Raises `NotComputable` for instants that the unit cannot hold.
    """
    instants = [None if value is None else _in_utc(value) for value in values]
    try:
        column = pd.Series(instants, dtype="datetime64[us]").astype(f"datetime64[{unit}]")
    except pd.errors.OutOfBoundsDatetime:
        least, most = pd.Timestamp.min.to_pydatetime(warn=False), pd.Timestamp.max.to_pydatetime(warn=False)
        raise NotComputable([i for i, at in enumerate(instants) if at and not least < at < most]) from None
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)


def _in_utc(text: str) -> datetime:
    """The instant without its offset, in UTC if it had one."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)
