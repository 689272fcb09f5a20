"""The features a model takes, as a JSON Schema document, and the validators made from it.

Rows are validated strictly and straight from the request's bytes: a number is not `"5.1"` and not `true`, an integer
is a fine float, nothing is missing and nothing is unknown. Beside JSON Schema's own words a feature may have `x-pii`
(what may be stored of it), `x-observed` (the range in the training sample: a note for people, never a bound) and
`x-unit`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import CoreSchema, ErrorDetails, SchemaValidator, ValidationError, core_schema

Row = Mapping[str, Any]

MAX_ERRORS = 100
BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}


class UnsupportedSchema(ValueError):
    """The document says something that rows cannot be validated by."""


class BrokenJson(Exception):
    """The body is not one JSON text, or has a member twice."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RowError:
    """Where (a JSON Pointer, RFC 6901), which rule, and in words; never the value, nor a name the caller made up."""

    at: str
    rule: str
    message: str


class InvalidRows(Exception):
    """The body is JSON and its rows are not the model's."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__()
        self.errors = errors


class RowSchema:
    """A model's features in order, and the three shapes a body can have: a row, rows in an object, a list of rows."""

    def __init__(self, document: Mapping[str, Any], max_rows: int) -> None:
        self.document = document
        self.names: tuple[str, ...] = tuple(document["properties"])
        self.pii = {name: feature.get("x-pii", "no") for name, feature in document["properties"].items()}
        row = _row_schema(document["properties"])
        rows = core_schema.list_schema(row, min_length=1, max_length=max_rows)
        wrapped = {"rows": core_schema.typed_dict_field(rows)}
        self._row = SchemaValidator(row)
        self._list = SchemaValidator(rows)
        self._wrapped = SchemaValidator(core_schema.typed_dict_schema(wrapped, extra_behavior="forbid", strict=True))
        self._values = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)

    def row(self, body: bytes) -> list[Row]:
        """The one row of `{"feature": ...}`. Raises `BrokenJson` or `InvalidRows`, as all three do."""
        return self._parse(self._row, body, lambda row: [row], 0)

    def rows(self, body: bytes) -> list[Row]:
        """The rows of `{"rows": [...]}`."""
        return self._parse(self._wrapped, body, itemgetter("rows"), 1)

    def bare_rows(self, body: bytes) -> list[Row]:
        """The rows of `[...]`."""
        return self._parse(self._list, body, lambda rows: rows, 0)

    def matrix(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The rows as float64 of shape (rows, features); `null` is NaN."""
        return np.array([self._values(row) for row in rows], dtype=np.float64)

    def example(self) -> dict[str, float | int | bool]:
        """A synthetic row within all bounds, from the middle of what is known of each feature."""
        return {name: _example(feature) for name, feature in self.document["properties"].items()}

    def _parse(self, validator: SchemaValidator, body: bytes, rows_of: Any, wrapper_members: int) -> list[Row]:
        try:
            rows: list[Row] = rows_of(validator.validate_json(body))
        except ValidationError as error:
            look_twice(body)
            raise _refusal(error) from None
        # Values are numbers, so that the only quotation marks are two for each member. More of them than that: a
        # member came twice, of which the validator silently keeps the last.
        if body.count(b'"') != 2 * (wrapper_members + sum(map(len, rows))):
            look_twice(body)
        return rows


def look_twice(body: bytes) -> None:
    """Raises `BrokenJson` for what the fast parser forgives: a member twice, NaN, infinities, another encoding."""
    try:
        json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_not_json, parse_int=float,
        )  # fmt: skip
    except UnicodeDecodeError:
        raise BrokenJson("the body is not UTF-8") from None
    except RecursionError:
        raise BrokenJson("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BrokenJson(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise BrokenJson("an object has the same member twice")


def _not_json(_: str) -> None:
    raise BrokenJson("NaN and infinities are not JSON")


def _row_schema(properties: Mapping[str, Mapping[str, Any]]) -> CoreSchema:
    if not properties:
        raise UnsupportedSchema("a row needs at least one feature")
    fields = {name: core_schema.typed_dict_field(_feature_schema(name, spec)) for name, spec in properties.items()}
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True, total=True)


def _feature_schema(name: str, spec: Mapping[str, Any]) -> CoreSchema:
    kinds = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    kind = [kind for kind in kinds if kind != "null"]
    bounds = {ours: spec[word] for word, ours in BOUNDS.items() if word in spec}
    schema: CoreSchema
    if kind == ["number"]:
        schema = core_schema.float_schema(strict=True, allow_inf_nan=False, **bounds)
    elif kind == ["integer"]:
        schema = core_schema.int_schema(strict=True, **bounds)
    elif kind == ["boolean"]:
        schema = core_schema.bool_schema(strict=True)
    else:
        raise UnsupportedSchema(f"feature {name} has type {spec['type']}; number, integer and boolean can be served")
    return core_schema.nullable_schema(schema) if "null" in kinds else schema


def _example(spec: Mapping[str, Any]) -> float | int | bool:
    if "boolean" in (spec["type"], *spec["type"]):
        return True
    low, high = spec.get("x-observed") or (_bound(spec, "inimum"), _bound(spec, "aximum"))
    if low is None:
        low = 0.0 if high is None else high - 2
    middle = low + 1 if high is None else (low + high) / 2
    if "integer" in (spec["type"], *spec["type"]):
        return math.floor(middle)
    return round(middle, 2 - math.floor(math.log10(abs(middle)))) if middle else 0.0


def _bound(spec: Mapping[str, Any], which: str) -> float | None:
    for word in (f"exclusiveM{which}", f"m{which}"):
        if word in spec:
            return float(spec[word])
    return None


def _refusal(error: ValidationError) -> InvalidRows | BrokenJson:
    """At most a hundred places, the first of each row first, so that every bad row up to then is named."""
    details = error.errors(include_url=False, include_input=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return BrokenJson("the body is not JSON, or is nested too deeply")
    firsts: list[ErrorDetails] = []
    others: list[ErrorDetails] = []
    seen: set[int | None] = set()
    for detail in details:
        row = next((part for part in detail["loc"] if isinstance(part, int)), None)
        (others if row in seen else firsts).append(detail)
        seen.add(row)
    chosen = (firsts + others)[:MAX_ERRORS]
    return InvalidRows([_row_error(detail) for detail in sorted(chosen, key=details.index)])


def _row_error(detail: ErrorDetails) -> RowError:
    kind, place, context = detail["type"], detail["loc"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return RowError(_pointer(place[:-1]), "unknown", "has a member that the model does not know")
    rule, message = _RULES.get(kind, ("invalid", "is not valid"))
    return RowError(_pointer(place), rule, message.format(**{name: _plain(context.get(name)) for name in _CONTEXT}))


def _plain(bound: Any) -> Any:
    return f"{bound:g}" if isinstance(bound, float) else bound


def _pointer(place: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


_CONTEXT = ("gt", "ge", "lt", "le", "max_length")
_RULES = {
    "missing": ("required", "is required"),
    "float_type": ("type", "must be a number"),
    "int_type": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "int_parsing_size": ("range", "is too large"),
    "bool_type": ("type", "must be true or false"),
    "dict_type": ("type", "must be an object"),
    "list_type": ("type", "must be a list"),
    "finite_number": ("range", "is too large for a number"),
    "greater_than": ("greater_than", "must be greater than {gt}"),
    "greater_than_equal": ("greater_than_equal", "must be at least {ge}"),
    "less_than": ("less_than", "must be less than {lt}"),
    "less_than_equal": ("less_than_equal", "must be at most {le}"),
    "too_long": ("too_many", "must have at most {max_length} rows"),
    "too_short": ("too_few", "must have at least one row"),
}


def without_personal_ranges(document: dict[str, Any]) -> dict[str, Any]:
    """The schema without the observed ranges of sensitive features: a smallest and a largest value are somebody's."""
    properties = {
        name: {word: value for word, value in spec.items() if word != "x-observed" or spec.get("x-pii", "no") == "no"}
        for name, spec in document["properties"].items()
    }
    return {**document, "properties": properties}
