"""A validator's errors in our own words, without the values in them."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from inference.rows.integers import MAX_INTEGER, SEND_AS_TEXT
from values.json_pointer import Violation, pointer

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


def violation_of(detail: ErrorDetails, at: str) -> Violation:
    """The violation that an error stands for, in the row at `at`."""
    context = detail.get("ctx", {})
    # An integer that no float can hold is another error than no number at all; the value itself goes no further.
    is_huge = detail["type"] == "float_type" and type(detail["input"]) is int
    rule, message = _RULES.get("finite_number" if is_huge else detail["type"], ("invalid", "is not valid"))
    words = message.format(**{name: _plain(context.get(name)) for name in _CONTEXT})
    bound = context.get("le", context.get("ge"))
    if isinstance(bound, int) and abs(bound) == MAX_INTEGER:
        words = f"{words}: {SEND_AS_TEXT}"
    return Violation(at + pointer(detail["loc"]), rule, words)


def _plain(bound: Any) -> Any:
    return f"{bound:g}" if isinstance(bound, float) else bound
