"""The JSON Schema of a feature, by its column in a sample and by the model's knowledge of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from examination.columns.categories import Categories, type_of
from examination.columns.given_schema import RefusedSchema
from examination.columns.large_integers import check_integers
from examination.columns.sample_columns import format_of_texts
from inference.rows.columns import DATE, WITH_NONE, bounds_of, is_instant

MAX_NOTED_CATEGORIES = 100
MAX_CATEGORIES = 10_000
#: The types of columns that JSON's own types say.
_JSONS_OWN = frozenset({"bool", "int64", "float64"})


def of_column(name: str, column: Any) -> dict[str, Any]:
    """The schema of a feature by its column in a sample. Raises `RefusedSchema` for a type that JSON does not have."""
    check_integers(name, column)
    spec = _typed(name, column)
    return {**spec, "type": [spec["type"], "null"]} if bool(column.isna().any()) else spec


def _typed(name: str, column: Any) -> dict[str, Any]:
    dtype = str(column.dtype)
    if dtype == "category":
        return _of_categories(name, column.cat)
    if dtype == "object":
        return _of_objects(name, column)
    if is_instant(dtype):
        return {"type": "string", "format": "date-time", "x-dtype": dtype}
    own = {} if dtype in _JSONS_OWN else {"x-dtype": dtype}
    if dtype in {"str", "string"}:
        return {"type": "string", **_format(column), **own}
    return {**_of_numbers(name, column), **own}


def _of_numbers(name: str, column: Any) -> dict[str, Any]:
    kind = column.dtype.kind
    if kind == "b":
        return {"type": "boolean"}
    if kind in "iu":
        return {"type": "integer", **bounds_of(str(column.dtype)), **_range(column)}
    if kind == "f":
        return {"type": "number", **_range(column)}
    raise _refused(name, str(column.dtype))


def _of_objects(name: str, column: Any) -> dict[str, Any]:
    """The schema of a column of Python's own objects, which all are of one type."""
    present = column.dropna().tolist()
    if present and all(isinstance(value, date) and not isinstance(value, datetime) for value in present):
        return {"type": "string", "format": "date", "x-dtype": DATE}
    found = type_of(present)
    if found is None:
        raise _refused(name, "object, with values of several types" if present else "object, without any value")
    if found == "string":
        return {"type": "string", **_format(column)}
    return {"type": found, **({} if found == "boolean" else _range(column)), "x-dtype": "object"}


def _of_categories(name: str, column: Any) -> dict[str, Any]:
    values = column.categories.tolist()
    found = type_of(values)
    if found is None:
        raise _refused(name, "category, of values that are no texts, numbers or truth values of one type")
    return {"type": found, "enum": values, "x-dtype": "ordered category" if column.ordered else "category"}


def _refused(name: str, dtype: str) -> RefusedSchema:
    return RefusedSchema(f"the column {name} has type {dtype}: give it as numbers, texts, truth values or instants")


def _format(column: Any) -> dict[str, Any]:
    found = format_of_texts(column)
    return {} if found is None else {"format": found}


def _range(column: Any) -> dict[str, Any]:
    values = [value for value in column.dropna().tolist() if math.isfinite(value)]
    return {"x-observed": [min(values), max(values)]} if values else {}


def of_model(graph_type: str | None, spec: Mapping[str, Any], known: Categories | None) -> dict[str, Any]:
    """The model's own part of the schema: the categories that it knows, and whether it refuses any other."""
    if graph_type is not None:
        return {"type": graph_type} if graph_type != "number" else {}
    if known is None:
        return {}
    if known.are_instants:
        return _of_instants(spec, known)
    if known.are_digests or known.are_codes:
        return _of_open_categories(spec, known)
    if known.type is None:
        return {}
    are_objects, are_float32 = known.are_objects, known.are_float32
    if known.type in {"number", "integer"} and "boolean" in spec["type"] and set(known.learnt) <= {0, 1}:
        known = known.of_type(bool)
    if known.type == "number" and "integer" in spec["type"] and all(map(float.is_integer, map(float, known.learnt))):
        known = known.of_type(int)
    # An encoder of Python's own objects refuses a column of floats; 0.1 of float64 is no 0.1 of float32.
    own = {"x-dtype": "object"} if are_objects and known.type != "string" else {}
    narrow = {"x-dtype": "float32"} if are_float32 and known.type == "number" else {}
    return own | _of_categories_known(spec, known) | narrow


def _of_instants(spec: Mapping[str, Any], known: Categories) -> dict[str, Any]:
    closed = {"enum": [each.isoformat() for each in known.learnt]} if known.is_closed else {}
    if "format" in spec:
        return closed
    is_whole = not any(isinstance(each, datetime) for each in known.learnt)
    found = {"format": "date", "x-dtype": DATE} if is_whole else {"format": "date-time", "x-dtype": "datetime64[us]"}
    return {"type": _nullable("string", has_null=known.has_null), **found, **closed}


def _of_open_categories(spec: Mapping[str, Any], known: Categories) -> dict[str, Any]:
    """Of a part that takes any category: its values are of the sample's own type, if there is a sample."""
    is_of_sample = spec != {"type": "number"}
    if known.are_codes and (not is_of_sample or "integer" in spec["type"]):
        return {"type": spec["type"] if is_of_sample else "integer", "minimum": 0}
    return {} if is_of_sample else {"type": known.type}


def _of_categories_known(spec: Mapping[str, Any], known: Categories) -> dict[str, Any]:
    kind = _nullable(known.type, has_null=known.has_null or isinstance(spec["type"], list))
    if known.has_none:
        return _of_categories_known(spec, known.with_gaps()) | {"x-dtype": WITH_NONE}
    if known.is_dtype:
        return {"type": kind, "enum": known.learnt, "x-dtype": spec.get("x-dtype", "category")}
    if str(spec.get("x-dtype", "")).endswith("category"):
        # A category that the model's own part refuses is none that callers may send.
        return {"enum": [value for value in spec["enum"] if value in known.learnt or not known.is_closed]}
    if known.is_closed and 0 < len(known.learnt) <= MAX_CATEGORIES:
        return {"type": kind, "enum": known.learnt}
    is_noted = 0 < len(known.learnt) <= MAX_NOTED_CATEGORIES
    return {"type": kind, "x-categories": known.learnt} if is_noted else {"type": kind}


def _nullable(kind: Any, *, has_null: bool) -> Any:
    bare = next(each for each in kind if each != "null") if isinstance(kind, list) else kind
    return [bare, "null"] if has_null else bare
