"""Features as JSON Schema writes them: what they are validated by, and a synthetic example of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import CoreSchema, core_schema

BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
#: Past this a float64 no longer tells integers apart.
MAX_INTEGER = 2**53


class UnsupportedSchema(ValueError):
    """The document says something that rows cannot be validated by."""


def row_core_schema(properties: Mapping[str, Mapping[str, Any]]) -> CoreSchema:
    if not properties:
        raise UnsupportedSchema("a row needs at least one feature")
    fields = {name: core_schema.typed_dict_field(_feature_schema(name, spec)) for name, spec in properties.items()}
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True, total=True)


def _feature_schema(name: str, spec: Mapping[str, Any]) -> CoreSchema:
    kinds = kinds_of(spec)
    kind = [kind for kind in kinds if kind != "null"]
    bounds = {ours: spec[word] for word, ours in BOUNDS.items() if word in spec}
    schema: CoreSchema
    if kind == ["number"]:
        schema = core_schema.float_schema(strict=True, allow_inf_nan=False, **bounds)
    elif kind == ["integer"]:
        schema = core_schema.int_schema(strict=True, **({"ge": -MAX_INTEGER, "le": MAX_INTEGER} | bounds))
    elif kind == ["boolean"]:
        schema = core_schema.bool_schema(strict=True)
    else:
        raise UnsupportedSchema(f"feature {name} has type {spec['type']}; number, integer and boolean can be served")
    return core_schema.nullable_schema(schema) if "null" in kinds else schema


def kinds_of(spec: Mapping[str, Any]) -> list[str]:
    return list(spec["type"]) if isinstance(spec["type"], list) else [spec["type"]]


def example_of(spec: Mapping[str, Any]) -> float | int | bool:
    kinds = kinds_of(spec)
    if "boolean" in kinds:
        return True
    low, high = spec.get("x-observed") or (
        _bound(spec, "exclusiveMinimum", "minimum"),
        _bound(spec, "exclusiveMaximum", "maximum"),
    )
    if low is None:
        low = 0.0 if high is None else high - 2
    middle = low + 1 if high is None else (low + high) / 2
    if "integer" in kinds:
        return math.ceil(middle) if math.ceil(middle) <= (middle if high is None else high) else math.floor(middle)
    short = float(f"{middle:.3g}")
    return short if low < short and (high is None or short < high) else middle


def _bound(spec: Mapping[str, Any], *words: str) -> float | None:
    return next((float(spec[word]) for word in words if word in spec), None)


def without_personal_ranges(document: dict[str, Any]) -> dict[str, Any]:
    """The schema without the observed ranges of sensitive features: a smallest and a largest value are somebody's."""
    properties = {
        name: {word: value for word, value in spec.items() if word != "x-observed" or spec.get("x-pii", "no") == "no"}
        for name, spec in document["properties"].items()
    }
    return {**document, "properties": properties}
