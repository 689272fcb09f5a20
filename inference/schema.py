"""The features a model takes, as a JSON Schema document, and the validators made from it.

Rows are validated strictly and straight from the request's bytes: a number is not `"5.1"` and not `true`, an integer
is a fine float, nothing is missing and nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails, SchemaValidator, ValidationError, core_schema

from inference.features import example_row, is_text, row_core_schema
from inference.inputs import Row
from values.strict_json import parse_json

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
        self.pii = {name: feature.get("pii", "no") for name, feature in document["properties"].items()}
        self._texts = [name for name, feature in document["properties"].items() if is_text(feature)]
        #: Whether a value can be text, which has to be searched before it is stored.
        self.has_text = bool(self._texts)
        self._max_rows = max_rows
        row = row_core_schema(document["properties"])
        # Where a row is wrong, all are looked at again one by one; here the first is enough.
        rows = core_schema.list_schema(row, min_length=1, max_length=max_rows, fail_fast=True)
        wrapped = {"rows": core_schema.typed_dict_field(rows)}
        self._row = SchemaValidator(row)
        self._list = SchemaValidator(rows)
        self._wrapped = SchemaValidator(core_schema.typed_dict_schema(wrapped, extra_behavior="forbid", strict=True))

    def row(self, body: bytes) -> list[Row]:
        """The one row of `{"feature": ...}`. Raises `BrokenJson` or `InvalidRows`, as all three do."""
        row: Row | None = self._fast(self._row, body, 1)
        if row is not None and self._is_each_member_once(body, [row], 0):
            return [row]
        return self._checked([self._parsed(body)], "")

    def rows(self, body: bytes) -> list[Row]:
        """The rows of `{"rows": [...]}`."""
        wrapper = self._fast(self._wrapped, body, self._max_rows)
        if wrapper is not None and self._is_each_member_once(body, wrapper["rows"], 1):
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
        if rows is not None and self._is_each_member_once(body, rows, 0):
            return rows
        return self._checked(self._counted(self._parsed(body), ""), "/{}")

    def allows(self, row: Row) -> bool:
        """Whether the schema takes that row."""
        try:
            self._row.validate_python(row)
        except ValidationError:
            return False
        return True

    def example(self) -> dict[str, Any]:
        """A synthetic row from the middle of what is known of each feature."""
        return example_row(self.document)

    def _fast(self, validator: SchemaValidator, body: bytes, rows: int) -> Any:
        """What the validator makes of the bytes, or None where that has to be looked at again.

        A good body's only quotation marks are two for each member and two for each text in which none is escaped. A
        body with more of them has members that nobody knows, or one twice, of which the validator would silently keep
        the last.
        """
        most = rows * (len(self.names) + len(self._texts)) + 1
        if body.count(b'"') > 2 * most or self._has_too_many_values(body) or (self._texts and b"\\" in body):
            return None
        try:
            return validator.validate_json(body)
        except ValidationError:
            return None

    def _is_each_member_once(self, body: bytes, rows: Sequence[Row], others: int) -> bool:
        quoted = others + sum(map(len, rows))
        for name in self._texts:
            quoted += sum(row[name] is not None for row in rows)
        return body.count(b'"') == 2 * quoted

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
            row, found = self._judged(document, place.format(number))
            if found:
                faults.append(found)
            rows.append(row)
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

    def _judged(self, document: Any, at: str) -> tuple[Row, list[RowError]]:
        """The row as the validator gives it, whichever way it came, or what is wrong with it."""
        if not isinstance(document, dict):
            return {}, [RowError(at, "type", "must be an object")]
        known = {name: document[name] for name in self.names if name in document}
        unknown = [RowError(at, "unknown", "has a member that the model does not know")]
        faults = unknown if len(known) < len(document) else []
        row: Row = known
        try:
            row = self._row.validate_python(known)
        except ValidationError as error:
            details = error.errors(include_url=False)
            faults = faults + [_row_error(detail, at) for detail in details]
        return row, faults


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


_CONTEXT = ("gt", "ge", "lt", "le", "min_length", "max_length")
_RULES = {
    "missing": ("required", "is required"),
    "float_type": ("type", "must be a number"),
    "int_type": ("type", "must be an integer"),
    "int_from_float": ("type", "must be an integer"),
    "bool_type": ("type", "must be true or false"),
    "string_type": ("type", "must be a text"),
    "string_unicode": ("text", "is not Unicode"),
    "string_too_short": ("too_short", "must have at least {min_length} characters"),
    "string_too_long": ("too_long", "must have at most {max_length} characters"),
    "string_pattern_mismatch": ("pattern", "must match the schema's pattern"),
    "instant": ("format", "must be an instant in the schema's format"),
    "literal_error": ("enum", "must be one of the values that the schema lists"),
    "finite_number": ("range", "is too large for a number"),
    "greater_than": ("greater_than", "must be greater than {gt}"),
    "greater_than_equal": ("greater_than_equal", "must be at least {ge}"),
    "less_than": ("less_than", "must be less than {lt}"),
    "less_than_equal": ("less_than_equal", "must be at most {le}"),
}
