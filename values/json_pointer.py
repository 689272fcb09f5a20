"""JSON Pointers (RFC 6901), and violations of rules in a document at such a pointer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Violation(NamedTuple):
    """A rule that a value broke: its JSON Pointer, the rule, and words; never the value, nor a name of the caller's."""

    at: str
    rule: str
    message: str


def pointer(parts: Sequence[str | int]) -> str:
    """Returns the JSON Pointer to the value under these names and indices."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def counted(violations: Sequence[Violation]) -> str:
    """Returns in words how many values are wrong."""
    return "1 place is wrong" if len(violations) == 1 else f"{len(violations)} places are wrong"
