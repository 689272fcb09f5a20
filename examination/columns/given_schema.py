"""The operator's own schema of a row, as far as it can be judged without the model."""

from __future__ import annotations

from typing import Any

from inference.rows.feature_names import name_fault
from inference.rows.integers import MAX_INTEGER
from values.texts import is_storable

MAX_DEPTH = 8
LARGEST_FLOAT = 1e300
_TOP_WORDS = {"$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties"}


class RefusedSchema(Exception):
    """The features cannot be found out, or the schema does not fit the model; the words are for the operator."""


def check_given(given: Any) -> None:
    """Raises `RefusedSchema` unless the document describes an object of features."""
    described = given.get("properties") if isinstance(given, dict) else None
    for name in described if isinstance(described, dict) else ():
        if name_fault(name):
            raise RefusedSchema(name_fault(name))
    if not _is_plain(given, MAX_DEPTH):
        raise RefusedSchema("the schema is nested too deeply, or has a number or a text that cannot be stored")
    if not isinstance(given, dict) or not isinstance(given.get("properties"), dict):
        raise RefusedSchema('the schema is a JSON object with "properties", one for each feature')
    if unknown := sorted(given.keys() - _TOP_WORDS):
        raise RefusedSchema(f"the schema has words that are not served: {', '.join(unknown)[:200]}")
    if not all(isinstance(words, dict) for words in given["properties"].values()):
        raise RefusedSchema("each of the schema's properties is an object")
    if given.get("additionalProperties", False) is not False:
        raise RefusedSchema("a row has no other members than its features: additionalProperties is false")
    required = given.get("required", list(given["properties"]))
    if not isinstance(required, list) or sorted(map(str, required)) != sorted(given["properties"]):
        raise RefusedSchema("every feature is required; one that may be missing is nullable, and null")


def _is_plain(value: Any, depth: int) -> bool:
    """Whether databases and other readers of JSON take the value as well."""
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(each, depth - 1) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, bool) or value is None:
        return True
    return bool(abs(value) <= (MAX_INTEGER if isinstance(value, int) else LARGEST_FLOAT))
