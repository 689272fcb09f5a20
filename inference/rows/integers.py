"""Integers in rows: `41.0` and `4.1e1` are fine ones, as in JSON Schema, and reach the model as 41.

Clients write them so where their own numbers are floats (pandas' `to_json` does, JavaScript may). A float that is 2**53
or more is none: it may have been another integer before a reader rounded it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import CoreSchema, PydanticCustomError, core_schema

#: Past this a float64 no longer tells integers apart.
MAX_INTEGER = 2**53
#: Words for a person whose ids are longer.
SEND_AS_TEXT = "larger integers are rounded on their way: send them as text, and train the model on text"


def integer_schema(bounds: Mapping[str, Any] | None) -> CoreSchema:
    """Validates integers between bounds in pydantic's words, never past `MAX_INTEGER`; for None, without bounds."""
    within: dict[str, Any] = {}
    if bounds is not None:
        least, most = bounds.get("ge", -MAX_INTEGER), bounds.get("le", MAX_INTEGER)
        within = {**bounds, "ge": max(least, -MAX_INTEGER), "le": min(most, MAX_INTEGER)}
    integer = core_schema.int_schema(strict=True, **within)
    # Straight from JSON, an integer that is written as one costs no call of Python's.
    rounded = core_schema.float_schema(strict=True, gt=-MAX_INTEGER, lt=MAX_INTEGER)
    floats = core_schema.chain_schema([core_schema.no_info_after_validator_function(_of_float, rounded), integer])
    return core_schema.json_or_python_schema(
        core_schema.union_schema([integer, floats], mode="left_to_right"),
        core_schema.no_info_before_validator_function(_of_any, integer),
    )


def _of_float(value: float) -> int:
    if not value.is_integer():
        raise PydanticCustomError("int_from_float", "is not an integer")
    return int(value)


def _of_any(value: Any) -> Any:
    if type(value) is not float or not value.is_integer():
        return value
    # Past every bound, also where rounding brought it back to one.
    past = 0 if abs(value) < MAX_INTEGER else 1 if value > 0 else -1
    return int(value) + past
