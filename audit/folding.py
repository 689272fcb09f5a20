"""Folds a text into plain digits, letters, spaces and dashes, however it was typed, without unseen characters."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Blocks in which characters stand for ASCII ones; the rest of Unicode is scripts whose characters mean themselves.
_BLOCKS = (
    (0x80, 0x1100),
    (0x115F, 0x1161),
    (0x1680, 0x1A9A),
    (0x1B50, 0x1C60),
    (0x2000, 0x20F0),
    (0x2212, 0x2216),
    (0x3000, 0x3001),
    (0x30FB, 0x30FC),
    (0x3164, 0x3165),
    (0xA620, 0xA630),
    (0xA8D0, 0xAA60),
    (0xABF0, 0xABFA),
    (0xFE00, 0xFE70),
    (0xFEFF, 0xFF66),
    (0xFFA0, 0xFFA1),
    (0x104A0, 0x104AA),
    (0x11066, 0x11070),
    (0x1D400, 0x1D800),
    (0x1E950, 0x1E95A),
    (0x1FBF0, 0x1FBFA),
    (0xE0001, 0xE01F0),
)
#: Marks and fillers that are drawn as nothing, or around a digit.
_UNSEEN = frozenset({0x34F, 0x115F, 0x1160, 0x20E3, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})
_OTHERS = {"\u2212": "-", "\u2043": "-", "\u2044": "/", "\u2215": "/", "\u00b7": ".", "\u2024": ".", "\u30fb": "."}


def _plain(char: str) -> str | None:
    """The ASCII character that `char` stands for, or `char` itself if it stands for none; None if nobody sees it."""
    category = unicodedata.category(char)
    if category == "Cf" or ord(char) in _UNSEEN:
        return None
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category in {"Zs", "Pd"}:
        return " " if category == "Zs" else "-"
    compatible = unicodedata.normalize("NFKC", char)
    is_drawn_alike = unicodedata.decomposition(char).startswith(("<wide>", "<font>", "<small>"))
    return compatible if is_drawn_alike and compatible.isascii() and len(compatible) == 1 else _OTHERS.get(char, char)


def _table(blocks: Iterable[tuple[int, int]]) -> dict[int, str | None]:
    plain = {code: _plain(chr(code)) for block in blocks for code in range(*block)}
    return {9: " "} | {code: char for code, char in plain.items() if char != chr(code)}


_TABLE = _table(_BLOCKS)


class View(NamedTuple):
    """A stretch of a text, folded. If characters were left out, `offsets` are those of the others in the stretch."""

    text: str
    start: int
    offsets: Sequence[int] | None

    def within(self, index: int) -> int:
        """The index in this view of an index in the text."""
        return index - self.start if self.offsets is None else bisect_left(self.offsets, index - self.start)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text of a span in this view."""
        if self.offsets is None:
            return self.start + start, self.start + end
        return self.start + self.offsets[start], self.start + self.offsets[end - 1] + 1


def fold(text: str, start: int, end: int) -> View:
    """A view of `text[start:end]`."""
    part = text[start:end]
    if part.isascii():
        return View(part.replace("\t", " "), start, None)
    plain = part.translate(_TABLE)
    if len(plain) == len(part):
        return View(plain, start, None)
    return View(plain, start, [index for index, char in enumerate(part) if _TABLE.get(ord(char), "") is not None])
