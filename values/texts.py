"""Texts that others have written: whether a database takes them, and how a line of text shows them."""

from __future__ import annotations

import re

#: Characters that Python counts as printable although nothing is to be seen: fillers and selectors of variants.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_storable(text: str) -> bool:
    """Whether a text has no NUL and no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def shown(text: str) -> str:
    r"""The text for a terminal or a line of a log: what would steer it, or could not be seen, is escaped.

    That is a tab as `\t`, an escape as `\x1b`, a no-break space as `\xa0`, and the marks that turn the direction of
    writing. Backslashes stay as they are: this is for people, and nothing reads it back.
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(char if char.isprintable() and not _UNSEEN.match(char) else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
