"""A model's knowledge of one of its columns: the categories that it has learnt, or that the column is text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


class Categories:
    """The knowledge that a part of a model has of a column.

    - `learnt`: its categories, in the part's own order.
    - `is_closed`: the part refuses any other value.
    - `is_dtype`: it was trained on a pandas column of type `category`, whose codes it counts on.
    - `are_objects`: it was trained on Python's own objects, which are compared otherwise than a column of floats.
    - `are_digests`: it keeps digests of its categories alone, for which 1 and "1" are the same.
    - `are_codes`: they are integers from 0.
    - `has_none`: missing values were None, and not NaN.
    - `are_float32`: they are float32, for which 0.1 in float64 is another number.
    - `unreadable`: why they cannot be read, and what to do.
    """

    def __init__(
        self,
        values: Sequence[Any] = (),
        *,
        is_closed: bool = False,
        is_text: bool = False,
        is_dtype: bool = False,
        are_objects: bool = False,
        are_digests: bool = False,
        are_codes: bool = False,
        are_float32: bool = False,
        unreadable: str = "",
    ) -> None:
        self.learnt = [each for each in map(plain, values) if each is not None]
        self.has_null = len(self.learnt) < len(values)
        self.has_none = any(each is None for each in values)
        self.is_closed = is_closed
        self.is_dtype = is_dtype
        self.are_objects = are_objects
        self.are_digests = are_digests
        self.are_codes = are_codes
        self.are_float32 = are_float32
        self.unreadable = unreadable
        self.type = "string" if is_text or are_digests else "integer" if are_codes else type_of(self.learnt)

    def of_type(self, kind: type) -> Categories:
        """The same, of whole numbers or truth values that were learnt as floats."""
        nulls = [math.nan] if self.has_null else []
        return Categories([*map(kind, self.learnt), *nulls], is_closed=self.is_closed, is_dtype=self.is_dtype)

    def with_gaps(self) -> Categories:
        """The same, with NaN for its missing value."""
        return Categories([*self.learnt, math.nan], is_closed=self.is_closed, is_dtype=self.is_dtype)

    @property
    def are_instants(self) -> bool:
        """Whether the categories are dates or datetimes."""
        return bool(self.learnt) and all(isinstance(each, date) for each in self.learnt)


def type_of(values: Sequence[Any]) -> str | None:
    """The JSON type that all values share; None if they share none."""
    for kind, name in _TYPES.items():
        if values and all(type(value) is kind for value in values):
            return name
    is_of_numbers = values and all(type(value) in (int, float) for value in values)
    return "number" if is_of_numbers else None


def plain(value: Any) -> Any:
    """The value in Python's own type; None for a missing one."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return None if isinstance(value, float) and math.isnan(value) else value
