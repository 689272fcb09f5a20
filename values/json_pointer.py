"""Places in a JSON document (RFC 6901), and the rules that are broken there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Violation(NamedTuple):
    """Where (a JSON Pointer), which rule, and in words; never the value, nor a name that the caller made up."""

    at: str
    rule: str
    message: str


def pointer(parts: Sequence[str | int]) -> str:
    """The JSON Pointer to the value under these names and indices."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def counted(violations: Sequence[Violation]) -> str:
    """How many places are wrong, in words."""
    return "1 place is wrong" if len(violations) == 1 else f"{len(violations)} places are wrong"
