"""The features a model takes, as a JSON Schema document, and the validators made from it.

Rows are validated strictly: a number is not `"5.1"` and not `true`, an integer is taken for a float, no member is
missing and none is unknown. A wire format hands in JSON text, parsed documents or columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from inference.rows.features import example_row, is_text, row_fields, with_default_lengths
from inference.rows.inputs import Row
from inference.rows.violations import violation_of
from values.json_pointer import Violation, pointer
from values.strict_json import parse_json

MAX_ERRORS = 100
#: A body may have so many values, and four times as many as the largest batch needs, before it is refused unparsed.
MIN_VALUES = 10_000
#: Rows at fault are validated so many features at a time: naming every fault of 10,000 features costs milliseconds.
GROUP_FEATURES = 64

At = Callable[[int], str]


class InvalidRows(Exception):
    """The body is well-formed, and its rows do not fit the model's schema; `errors` say where and why."""

    def __init__(self, errors: Sequence[Violation]) -> None:
        super().__init__()
        self.errors = errors


class RowSchema:
    """A model's features in order. `max_rows` bounds a batch."""

    def __init__(self, document: Mapping[str, Any], max_rows: int) -> None:
        self.document = document
        self.max_rows = max_rows
        self.names: tuple[str, ...] = tuple(document["properties"])
        self.pii = {name: feature.get("pii", "no") for name, feature in document["properties"].items()}
        #: The features whose values can be text.
        self.texts = tuple(name for name, feature in document["properties"].items() if is_text(feature))
        #: Those of them that are searched for personal data before they are stored: an instant by its format is not.
        self.searched = tuple(name for name in self.texts if "format" not in document["properties"][name])
        self._known = frozenset(self.names)
        fields = row_fields(document["properties"])
        row = _row_schema(fields, is_whole=True)
        # If a row is wrong, `checked` looks at all of them one by one; here the first fault is enough.
        rows = core_schema.list_schema(row, min_length=1, max_length=max_rows, fail_fast=True)
        self._row = SchemaValidator(row)
        self._rows = SchemaValidator(rows)
        self._groups = [
            (names, SchemaValidator(_row_schema({name: fields[name] for name in names}, is_whole=False)))
            for names in _grouped(self.names)
        ]

    @property
    def has_text(self) -> bool:
        """Whether a value can be text."""
        return bool(self.texts)

    def row_of(self, text: bytes) -> Row | None:
        """The row in a JSON text; None if `parsed` and `checked` have to look at it again."""
        row: Row | None = self._validated(self._row, text, 1)
        return row if row is not None and self._is_each_member_once(text, [row]) else None

    def rows_of(self, text: bytes) -> list[Row] | None:
        """The rows of a JSON list, or None as in `row_of`."""
        rows: list[Row] | None = self._validated(self._rows, text, self.max_rows)
        return rows if rows is not None and self._is_each_member_once(text, rows) else None

    def parsed(self, text: bytes) -> Any:
        """The document in a JSON text, parsed strictly. Raises `BrokenJson` or `InvalidRows`."""
        if self._has_too_many_values(text):
            raise InvalidRows([Violation("", "too_many", "has far more values than the model has features")])
        return parse_json(text)

    def checked(self, documents: Sequence[Any], at: At) -> list[Row]:
        """The rows of parsed documents; `at` is the JSON Pointer to each.

        Raises `InvalidRows` with every bad row up to a hundred; each is named once before any is named twice.
        """
        rows: list[Row] = []
        bad: list[int] = []
        for number, document in enumerate(documents):
            row: dict[str, Any] = {}
            if next(self._violations(document, at(number), row), None) is None:
                rows.append(row)
                continue
            bad.append(number)
            if len(bad) == MAX_ERRORS:
                break
        if bad:
            raise InvalidRows(list(self._named(documents, bad, at)))
        return rows

    def of_columns(self, columns: Mapping[str, Sequence[Any]], at: At) -> list[Row]:
        """The rows of columns of one length, for formats that send features and not rows. Raises as `checked` does."""
        names = list(columns)
        documents = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return self.checked(documents, at)

    def allows(self, row: Row) -> bool:
        """Whether the schema takes that row."""
        return next(self._violations(row, "", {}), None) is None

    def example(self) -> dict[str, Any]:
        """A synthetic row, from the middle of each feature's known range."""
        return example_row(self.document)

    def costliest(self) -> dict[str, Any]:
        """A synthetic row whose free texts are as long as they may be, in short words."""
        properties = with_default_lengths(self.document)["properties"]
        free = [name for name in self.searched if "enum" not in properties[name]]
        texts = {name: ("of " * properties[name]["maxLength"])[: properties[name]["maxLength"]] for name in free}
        return self.example() | texts

    def _validated(self, validator: SchemaValidator, text: bytes, rows: int) -> Any:
        """The validator's result for the text; None if the text has to be looked at again.

        A good text has two quotation marks for each member, and two for each value that is a text without escapes. A
        text with more of them has unknown members, or one member twice, of which the validator would silently keep the
        last.
        """
        most = rows * (len(self.names) + len(self.texts))
        if text.count(b'"') > 2 * most or self._has_too_many_values(text) or (self.texts and b"\\" in text):
            return None
        try:
            return validator.validate_json(text)
        except ValidationError:
            return None

    def _is_each_member_once(self, text: bytes, rows: Sequence[Row]) -> bool:
        quoted = sum(map(len, rows))
        for name in self.texts:
            quoted += sum(row[name] is not None for row in rows)
        return text.count(b'"') == 2 * quoted

    def _has_too_many_values(self, text: bytes) -> bool:
        """A parser holds the interpreter while it works: half a million values would stop everybody for 50 ms."""
        return text.count(b",") > MIN_VALUES + 4 * self.max_rows * (len(self.names) + 1)

    def _named(self, documents: Sequence[Any], bad: Sequence[int], at: At) -> Iterator[Violation]:
        """The first violation of each bad row, and further ones of the first rows while there is room."""
        room = MAX_ERRORS - len(bad)
        for number in bad:
            found = list(islice(self._violations(documents[number], at(number), {}), 1 + room))
            room -= len(found) - 1
            yield from found

    def _violations(self, document: Any, at: str, row: dict[str, Any]) -> Iterator[Violation]:
        """The violations of a row, found as they are asked for; fills `row` with the values that are right."""
        if not isinstance(document, dict):
            yield Violation(at, "type", "must be an object")
            return
        if len(document) > len(self.names) or not document.keys() <= self._known:
            yield Violation(at, "unknown", "has a member that the model does not know")
        for names, validator in self._groups:
            # Names are compared before values are looked at: a row that lacks one costs next to nothing.
            yield from (
                Violation(at + pointer((name,)), "required", "is required") for name in names if name not in document
            )
            present = {name: document[name] for name in names if name in document}
            try:
                row |= validator.validate_python(present)
            except ValidationError as error:
                yield from (violation_of(detail, at) for detail in error.errors(include_url=False))


def _row_schema(fields: dict[str, core_schema.TypedDictField], *, is_whole: bool) -> CoreSchema:
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True, total=is_whole)


def _grouped(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), GROUP_FEATURES):
        yield names[start : start + GROUP_FEATURES]
