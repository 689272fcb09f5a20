"""Adyton's own JSON: a row, rows in an object, or a list of rows (see docs/request-flow.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from inference.loading import ServedVersion
from inference.outputs import Predictions
from inference.rows.inputs import Row
from inference.rows.schema import InvalidRows, RowSchema
from serving.wire.format import WireFormat
from values.json_pointer import Violation

_OPENING = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"rows"[ \t\n\r]*:')
_CLOSING = re.compile(rb"\}[ \t\n\r]*\Z")
#: The closing brace, and at most so much white space behind it.
_TAIL_BYTES = 64


class _OneRow:
    """The body is the row: `{"feature": ...}`."""

    def rows(self, schema: RowSchema, body: bytes) -> list[Row]:
        row = schema.row_of(body)
        return [row] if row is not None else schema.checked([schema.parsed(body)], self.at)

    def at(self, row: int) -> str:  # noqa: ARG002  the one row is the body
        return ""

    def answer(self, request_id: str, version: ServedVersion, predictions: Predictions, items: bytes) -> bytes:  # noqa: ARG002  the one item says it all
        return b"%b,%b" % (_head(request_id, version), items[2:-1])


class _ManyRows:
    """The answer to several rows, in their order."""

    def answer(self, request_id: str, version: ServedVersion, predictions: Predictions, items: bytes) -> bytes:
        return b'%b,"count":%d,"predictions":%b}' % (_head(request_id, version), len(predictions.labels), items)


class _RowsInObject(_ManyRows):
    """The body is `{"rows": [...]}`."""

    def rows(self, schema: RowSchema, body: bytes) -> Sequence[Row]:
        inner = _within(body)
        rows = None if inner is None else schema.rows_of(inner)
        if rows is not None:
            return rows
        document = schema.parsed(body)
        if not isinstance(document, dict):
            raise InvalidRows([Violation("", "type", "must be an object")])
        if document.keys() - {"rows"}:
            raise InvalidRows([Violation("", "unknown", "has a member other than rows")])
        if "rows" not in document:
            raise InvalidRows([Violation("/rows", "required", "is required")])
        return schema.checked(_listed(document["rows"], "/rows", schema.max_rows), self.at)

    def at(self, row: int) -> str:
        return f"/rows/{row}"


class _RowsInList(_ManyRows):
    """The body is `[...]`."""

    def rows(self, schema: RowSchema, body: bytes) -> Sequence[Row]:
        rows = schema.rows_of(body)
        if rows is not None:
            return rows
        return schema.checked(_listed(schema.parsed(body), "", schema.max_rows), self.at)

    def at(self, row: int) -> str:
        return f"/{row}"


def _within(body: bytes) -> bytes | None:
    """The text behind `rows` if that is the first and only member; the JSON parser decides whether it is one value."""
    opening, closing = _OPENING.match(body), _CLOSING.search(body, max(0, len(body) - _TAIL_BYTES))
    return body[opening.end() : closing.start()] if opening and closing else None


def _listed(rows: Any, at: str, max_rows: int) -> list[Any]:
    if not isinstance(rows, list):
        raise InvalidRows([Violation(at, "type", "must be a list")])
    if not rows:
        raise InvalidRows([Violation(at, "too_few", "must have at least one row")])
    if len(rows) > max_rows:
        raise InvalidRows([Violation(at, "too_many", f"must have at most {max_rows} rows")])
    return rows


def _head(request_id: str, version: ServedVersion) -> bytes:
    """The beginning of an answer's object, up to a comma."""
    head = {"request_id": request_id, "model": version.model, "version": version.listing.name}
    return orjson.dumps(head)[:-1]


ROW: WireFormat = _OneRow()
ROWS: WireFormat = _RowsInObject()
LIST: WireFormat = _RowsInList()
