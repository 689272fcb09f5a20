"""The signature in an `MLmodel`: the columns that a model was logged with, as a schema of its rows.

The form is MLflow's own (mlflow.types.Schema.to_json): a list of column specs, or of tensor specs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from admin.facts import InvalidValue

_TYPES: Mapping[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "long": {"type": "integer"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time", "x-dtype": "datetime64[ns]"},
}
_LOG_AGAIN = "log the model again with a signature of plain columns"
_MATRIX = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A named column: its type in MLflow's words, and its words in a schema."""

    type: str
    words: dict[str, Any]

    @property
    def is_optional(self) -> bool:
        return isinstance(self.words["type"], list)


@dataclass(frozen=True, slots=True)
class Signature:
    """Named columns, or only their count where they have no names; None if that is not known either."""

    named: Mapping[str, Column]
    count: int | None

    @property
    def columns(self) -> Sequence[str] | int | None:
        return list(self.named) or self.count

    def laid_under(self, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The operator's schema over the signature's: each of the operator's words replaces the signature's."""
        properties = {name: column.words for name, column in self.named.items()}
        if not properties:
            return given
        if given is None:
            return {"properties": properties}
        theirs = given.get("properties")
        if not isinstance(theirs, dict) or not all(isinstance(each, dict) for each in theirs.values()):
            # Not a schema: registration says what is wrong with it.
            return given
        laid = {name: {**properties.get(name, {}), **theirs.get(name, {})} for name in [*properties, *theirs]}
        return {word: value for word, value in given.items() if word != "required"} | {"properties": laid}


def signature_of(document: Any) -> Signature | None:
    """The signature of a model's inputs; None if it has none. Raises `InvalidValue`."""
    if not isinstance(document, dict) or not document.get("inputs"):
        return None
    try:
        # Some tools write the list itself instead of its text.
        specs = document["inputs"] if isinstance(document["inputs"], list) else json.loads(document["inputs"])
    except (TypeError, ValueError, RecursionError):
        specs = None
    if not isinstance(specs, list) or not all(isinstance(each, dict) for each in specs):
        raise InvalidValue(f"the signature in MLmodel cannot be read: {_LOG_AGAIN}")
    if not specs:
        return None
    if any(each.get("type") == "tensor" for each in specs):
        return _of_tensors(specs)
    names = [each.get("name") for each in specs]
    if all(name is None for name in names):
        return Signature({}, len(specs))
    if any(name is None for name in names) or len({str(name) for name in names}) < len(names):
        raise InvalidValue(f"the signature in MLmodel has a column without a name, or two of one name: {_LOG_AGAIN}")
    return Signature({str(each["name"]): _column(each) for each in specs}, len(specs))


def _column(spec: Mapping[str, Any]) -> Column:
    name, kind = str(spec["name"]), spec.get("type")
    words = _TYPES.get(kind) if isinstance(kind, str) else None
    if words is None:
        raise InvalidValue(
            f"the signature in MLmodel gives the column {name[:80]} the type {str(kind)[:40]}, which rows of JSON do"
            f" not have: {_LOG_AGAIN}"
        )
    # Releases before 2.6 wrote `optional`.
    is_optional = spec.get("required") is False or spec.get("optional") is True
    return Column(str(kind), {**words, "type": [words["type"], "null"]} if is_optional else dict(words))


def _of_tensors(specs: Sequence[Mapping[str, Any]]) -> Signature:
    """The number of columns; tensors of one column each that have names are columns by those names."""
    widths = [_width(each) for each in specs]
    names = [each.get("name") for each in specs]
    if len(specs) > 1 and all(isinstance(name, str) for name in names) and set(widths) == {1}:
        kinds = [_kind_of_tensor(each) for each in specs]
        return Signature(
            {str(name): Column(kind, dict(_TYPES[kind])) for name, kind in zip(names, kinds, strict=True)}, len(specs)
        )
    return Signature({}, None if None in widths else sum(width or 0 for width in widths))


def _width(spec: Mapping[str, Any]) -> int | None:
    tensor = spec.get("tensor-spec")
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    if not isinstance(shape, list) or not all(isinstance(each, int) for each in shape):
        raise InvalidValue(f"the signature in MLmodel cannot be read: {_LOG_AGAIN}")
    if len(shape) > _MATRIX:
        raise InvalidValue(
            f"the signature in MLmodel asks for tensors of {len(shape)} dimensions: models of rows and columns are"
            " served"
        )
    width = shape[1] if len(shape) == _MATRIX else 1
    return width if width > 0 else None


def _kind_of_tensor(spec: Mapping[str, Any]) -> str:
    dtype = str(spec["tensor-spec"].get("dtype", ""))
    if dtype.startswith(("int", "uint")):
        return "long"
    if dtype.startswith("bool"):
        return "boolean"
    return "double" if dtype.startswith("float") else "string"
