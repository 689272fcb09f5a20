"""Counts the guesses that a password needs from somebody who knows common passwords, phrases, walks and repetitions.

The search follows the way through the text that takes the fewest guesses, and ends when it has taken enough: its cost
is bounded for any text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

#: A password needs so many guesses. A single character counts one, a known piece two: it is one of a thousand or so.
ENOUGH = 10
_PIECE = 2
#: The shortest known piece that counts; shorter ones occur in any text.
_GRAM = 4

_YEARS = range(1930, 2040)
#: The service's own names: the first thing that is tried here.
_OURS = ("adyton",)

_MANY = re.compile(r"(.)\1{2,}", re.DOTALL)
_SEPARATORS = dict.fromkeys(map(ord, " \t-_.,;:'\"/\\"))
_LETTERS = str.maketrans("4@8({[<369!|10$5+7%2", "aabcccceggiiiossttxz")
#: The same with `1` read as an l, which is as common as an i.
_LETTERS_L = _LETTERS | {ord("1"): "l", ord("|"): "l", ord("!"): "l"}

Index = dict[str, list[tuple[str, bool]]]


def has_enough(password: str, about: Iterable[str]) -> bool:
    """Whether every way to take the password apart needs enough guesses; `about` is known of the person."""
    plain = _plain(password)
    # The text as it is written, and twice with letters for the digits and signs that may stand for them.
    readings = (plain, plain.translate(_LETTERS), plain.translate(_LETTERS_L))
    indexes = (_common(), _indexed((), _parts(about)))
    first = _first_positions(readings[1])
    #: By the number of guesses: the positions in the text that they lead to.
    ahead: list[set[int]] = [{0}, *(set() for _ in range(ENOUGH + _PIECE))]
    passed: set[int] = set()
    for guesses in range(ENOUGH):
        while ahead[guesses]:
            at = ahead[guesses].pop()
            if at == len(plain):
                return False
            if at in passed:
                continue
            passed.add(at)
            is_again = at > 0 and plain[at] == plain[at - 1]
            ahead[guesses + (0 if is_again else 1)].add(at + 1)
            lengths = {_repeated(readings[1], at, first), *_known(readings, at, indexes)} - {0}
            ahead[guesses + _PIECE].update(at + length for length in lengths)
    return True


def _plain(text: str) -> str:
    """Returns the text without free variations: capitals, widths, white space, dashes, a character more than twice."""
    written = unicodedata.normalize("NFKC", text).casefold().translate(_SEPARATORS)
    return _MANY.sub(r"\1\1", written)


def _known(readings: Iterable[str], at: int, indexes: Iterable[Index]) -> Iterator[int]:
    """Yields the lengths of the common passwords, and of the parts of phrases and walks, that start at `at`."""
    for text in readings:
        for entry, is_whole in chain.from_iterable(index.get(text[at : at + _GRAM], ()) for index in indexes):
            if not is_whole:
                yield _common_length(entry, 0, text, at)
            elif text.startswith(entry, at):
                yield len(entry)


def _first_positions(text: str) -> dict[str, int]:
    first: dict[str, int] = {}
    for at in range(len(text) - _GRAM + 1):
        first.setdefault(text[at : at + _GRAM], at)
    return first


def _repeated(text: str, at: int, first: dict[str, int]) -> int:
    """Returns how many characters from `at` on repeat earlier ones; the two stretches may overlap."""
    start = first.get(text[at : at + _GRAM], at)
    return _common_length(text, start, text, at) if start < at else 0


def _common_length(one: str, start: int, other: str, at: int) -> int:
    """Returns how many characters are the same from both positions on; halving spares a loop in Python."""
    low, high = 0, min(len(one) - start, len(other) - at)
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(one[start + low : start + middle], at + low):
            low = middle
        else:
            high = middle - 1
    return low


@cache
def _common() -> Index:
    """Indexes first guesses: the 1,400 or so passwords that leaked most, by zxcvbn's count, and common knowledge."""
    here = Path(__file__).parent
    words = (here / "common_passwords.txt").read_text(encoding="ascii").splitlines()
    # Walks over the keyboard, and phrases: any part of one may stand in a password, and to go on takes no guess.
    runs = (here / "common_phrases.txt").read_text(encoding="ascii").splitlines()
    return _indexed(runs, (*map(_plain, words), *map(str, _YEARS), *_parts(_OURS)))


def _indexed(runs: Iterable[str], words: Iterable[str]) -> Index:
    """Indexes, by first characters, each word, and each run from each of its positions on, in both directions."""
    index: Index = {}
    for entry, is_whole in (*((each, True) for each in words), *((each, False) for each in _starts(runs))):
        index.setdefault(entry[:_GRAM], []).append((entry, is_whole))
    return {gram: entries for gram, entries in index.items() if len(gram) == _GRAM}


def _starts(runs: Iterable[str]) -> Iterator[str]:
    for run in map(_plain, runs):
        for way in (run, run[::-1]):
            yield from (way[start:] for start in range(len(way) - _GRAM + 1))


def _parts(names: Iterable[str]) -> set[str]:
    """Returns the names and their parts: of `jane.doe@bank.example` jane, doe, bank, example, and neighbours joined."""
    parts: set[str] = set()
    for name in names:
        for signs in ("", "@", "@.", "@.-_+"):
            split = name.translate(dict.fromkeys(map(ord, signs), " ")).split()
            parts.update(map(_plain, split))
            parts.update(_plain(a + b) for a, b in pairwise(split))
    return parts
