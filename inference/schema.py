"""The features a model takes, as a JSON Schema document, and the validators made from it.

Rows are validated strictly and straight from the request's bytes: a number is not `"5.1"` and not `true`, an integer
is a fine float, nothing is missing and nothing is unknown. Beside JSON Schema's own words a feature may have `x-pii`
(what may be stored of it), `x-observed` (the range in the training sample: a note for people, never a bound) and
`x-unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import ErrorDetails, SchemaValidator, ValidationError, core_schema

from inference.features import example_of, kinds_of, row_core_schema
from inference.strict_json import parse_json

Row = Mapping[str, Any]

MAX_ERRORS = 100
#: A body may have so many values, and four times what the most rows need, before it is refused unread.
MIN_VALUES = 10_000


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
        #: Whether a value can be text, which has to be searched before it is stored.
        self.has_text = any("string" in kinds_of(feature) for feature in document["properties"].values())
        self._max_rows = max_rows
        row = row_core_schema(document["properties"])
        # Where a row is wrong, all are looked at again one by one; here the first is enough.
        rows = core_schema.list_schema(row, min_length=1, max_length=max_rows, fail_fast=True)
        wrapped = {"rows": core_schema.typed_dict_field(rows)}
        self._row = SchemaValidator(row)
        self._list = SchemaValidator(rows)
        self._wrapped = SchemaValidator(core_schema.typed_dict_schema(wrapped, extra_behavior="forbid", strict=True))
        self._values = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)

    def row(self, body: bytes) -> list[Row]:
        """The one row of `{"feature": ...}`. Raises `BrokenJson` or `InvalidRows`, as all three do."""
        row: Row | None = self._fast(self._row, body, 1)
        if row is not None and body.count(b'"') == 2 * len(row):
            return [row]
        return self._checked([self._parsed(body)], "")

    def rows(self, body: bytes) -> list[Row]:
        """The rows of `{"rows": [...]}`."""
        wrapper = self._fast(self._wrapped, body, self._max_rows)
        if wrapper is not None and body.count(b'"') == 2 * (1 + sum(map(len, wrapper["rows"]))):
            rows: list[Row] = wrapper["rows"]
            return rows
        document = self._parsed(body)
        if not isinstance(document, dict):
            raise InvalidRows([RowError("", "type", "must be an object")])
        if document.keys() - {"rows"}:
            raise InvalidRows([RowError("", "unknown", "has a member other than rows")])
        if "rows" not in document:
            raise InvalidRows([RowError("/rows", "required", "is required")])
        return self._checked(self._counted(document["rows"], "/rows"), "/rows/{}")

    def bare_rows(self, body: bytes) -> list[Row]:
        """The rows of `[...]`."""
        rows: list[Row] | None = self._fast(self._list, body, self._max_rows)
        if rows is not None and body.count(b'"') == 2 * sum(map(len, rows)):
            return rows
        return self._checked(self._counted(self._parsed(body), ""), "/{}")

    def matrix(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The rows as float64 of shape (rows, features); `null` is NaN."""
        return np.array([self._values(row) for row in rows], dtype=np.float64)

    def example(self) -> dict[str, float | int | bool]:
        """A synthetic row from the middle of what is known of each feature."""
        return {name: example_of(feature) for name, feature in self.document["properties"].items()}

    def _fast(self, validator: SchemaValidator, body: bytes, rows: int) -> Any:
        """What the validator makes of the bytes, or None where that has to be looked at again.

        Values are numbers, so that a good body's only quotation marks are two for each member. A body with more of
        them has members that nobody knows, or one twice, of which the validator would silently keep the last.
        """
        if body.count(b'"') > 2 * (rows * len(self.names) + 1) or self._has_too_many_values(body):
            return None
        try:
            return validator.validate_json(body)
        except ValidationError:
            return None

    def _parsed(self, body: bytes) -> Any:
        if self._has_too_many_values(body):
            raise InvalidRows([RowError("", "too_many", "has far more values than the model has features")])
        return parse_json(body)

    def _has_too_many_values(self, body: bytes) -> bool:
        """A parser holds the interpreter for as long as it works: half a million values are 50 ms for everybody."""
        return body.count(b",") > MIN_VALUES + 4 * self._max_rows * (len(self.names) + 1)

    def _counted(self, rows: Any, at: str) -> list[Any]:
        if not isinstance(rows, list):
            raise InvalidRows([RowError(at, "type", "must be a list")])
        if not 1 <= len(rows) <= self._max_rows:
            few = RowError(at, "too_few", "must have at least one row")
            raise InvalidRows([RowError(at, "too_many", f"must have at most {self._max_rows} rows") if rows else few])
        return rows

    def _checked(self, documents: list[Any], place: str) -> list[Row]:
        """The rows, or every bad one of them up to a hundred; each is named before any is named twice."""
        rows: list[Row] = []
        faults: list[list[RowError]] = []
        for number, document in enumerate(documents):
            found = self._faults(document, place.format(number))
            if found:
                faults.append(found)
            rows.append(document)
            if len(faults) == MAX_ERRORS:
                break
        if faults:
            room = MAX_ERRORS - len(faults)
            for found in faults:
                kept = 1 + max(0, min(room, len(found) - 1))
                room -= kept - 1
                del found[kept:]
            raise InvalidRows([error for found in faults for error in found])
        return rows

    def _faults(self, document: Any, at: str) -> list[RowError]:
        if not isinstance(document, dict):
            return [RowError(at, "type", "must be an object")]
        known = {name: document[name] for name in self.names if name in document}
        unknown = [RowError(at, "unknown", "has a member that the model does not know")]
        faults = unknown if len(known) < len(document) else []
        try:
            self._row.validate_python(known)
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults = faults + [_row_error(detail, at) for detail in details]
        return faults


def _row_error(detail: ErrorDetails, at: str) -> RowError:
    context = detail.get("ctx", {})
    # An integer that no float can hold is told from what is no number at all; the value itself goes no further.
    is_huge = detail["type"] == "float_type" and type(detail["input"]) is int
    rule, message = _RULES.get("finite_number" if is_huge else detail["type"], ("invalid", "is not valid"))
    words = message.format(**{name: _plain(context.get(name)) for name in _CONTEXT})
    return RowError(at + _pointer(detail["loc"]), rule, words)


def _plain(bound: Any) -> Any:
    return f"{bound:g}" if isinstance(bound, float) else bound


def _pointer(place: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


_CONTEXT = ("gt", "ge", "lt", "le")
_RULES = {
    "missing": ("required", "is required"),
    "float_type": ("type", "must be a number"),
    "int_type": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "bool_type": ("type", "must be true or false"),
    "finite_number": ("range", "is too large for a number"),
    "greater_than": ("greater_than", "must be greater than {gt}"),
    "greater_than_equal": ("greater_than_equal", "must be at least {ge}"),
    "less_than": ("less_than", "must be less than {lt}"),
    "less_than_equal": ("less_than_equal", "must be at most {le}"),
}
