"""How much of a password a guesser would have to guess: common passwords, phrases, walks and repetitions are known.

The way through the text that takes the fewest guesses is looked for, and given up where it takes enough: the cost is
bounded for any text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

#: A character of its own counts one. A piece that is known counts two: it is one of a thousand or so.
ENOUGH = 10
_PIECE = 2
#: The shortest piece that is looked for; shorter ones are found in anything.
_GRAM = 4

_YEARS = range(1930, 2040)
#: The service's own names: the first thing that is tried here.
_OURS = ("adyton",)

_MANY = re.compile(r"(.)\1{2,}", re.DOTALL)
_SEPARATORS = dict.fromkeys(map(ord, " \t-_.,;:'\"/\\"))
_LETTERS = str.maketrans("4@8({[<369!|10$5+7%2", "aabcccceggiiiossttxz")
#: Written `1`, an l is as common as an i.
_LETTERS_L = _LETTERS | {ord("1"): "l", ord("|"): "l", ord("!"): "l"}

Index = dict[str, list[tuple[str, bool]]]


def has_enough(password: str, about: Iterable[str]) -> bool:
    """Whether no way to take it apart needs few guesses, with these words known on the person whose it is."""
    plain = _plain(password)
    # The same text as it is written, and as digits and signs that stand for letters would be read.
    readings = (plain, plain.translate(_LETTERS), plain.translate(_LETTERS_L))
    indexes = (_common(), _indexed((), _parts(about)))
    first = _first_places(readings[1])
    #: By the number of guesses: the places in the text that they lead to.
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
    """Without what is varied at no cost: capitals, widths, white space and dashes, more than two of a character."""
    written = unicodedata.normalize("NFKC", text).casefold().translate(_SEPARATORS)
    return _MANY.sub(r"\1\1", written)


def _known(readings: Iterable[str], at: int, indexes: Iterable[Index]) -> Iterator[int]:
    """The lengths of the common passwords, and of the parts of phrases and walks, that stand there."""
    for text in readings:
        for entry, is_whole in chain.from_iterable(index.get(text[at : at + _GRAM], ()) for index in indexes):
            if not is_whole:
                yield _common_length(entry, 0, text, at)
            elif text.startswith(entry, at):
                yield len(entry)


def _first_places(text: str) -> dict[str, int]:
    first: dict[str, int] = {}
    for at in range(len(text) - _GRAM + 1):
        first.setdefault(text[at : at + _GRAM], at)
    return first


def _repeated(text: str, at: int, first: dict[str, int]) -> int:
    """How many characters from there on stood there before; also over what they themselves repeat."""
    start = first.get(text[at : at + _GRAM], at)
    return _common_length(text, start, text, at) if start < at else 0


def _common_length(one: str, start: int, other: str, at: int) -> int:
    """How many characters are the same from both places on; by halving, which compares without a loop of ours."""
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
    """What is tried first: the 1,400 or so passwords that leaked most often, by zxcvbn's count, and what all know."""
    here = Path(__file__).parent
    words = (here / "common_passwords.txt").read_text(encoding="ascii").splitlines()
    # Walks over the keyboard, and phrases: whatever part of one is in a password, it takes no guess to go on.
    runs = (here / "common_phrases.txt").read_text(encoding="ascii").splitlines()
    return _indexed(runs, (*map(_plain, words), *map(str, _YEARS), *_parts(_OURS)))


def _indexed(runs: Iterable[str], words: Iterable[str]) -> Index:
    """By their first characters: each word, and each run from each of its places on, forwards and backwards."""
    index: Index = {}
    for entry, is_whole in (*((each, True) for each in words), *((each, False) for each in _starts(runs))):
        index.setdefault(entry[:_GRAM], []).append((entry, is_whole))
    return {gram: entries for gram, entries in index.items() if len(gram) == _GRAM}


def _starts(runs: Iterable[str]) -> Iterator[str]:
    for run in map(_plain, runs):
        for way in (run, run[::-1]):
            yield from (way[start:] for start in range(len(way) - _GRAM + 1))


def _parts(names: Iterable[str]) -> set[str]:
    """A name, and its parts; `jane.doe@bank.example`: jane, doe, bank, example, and what is between the signs."""
    parts: set[str] = set()
    for name in names:
        for signs in ("", "@", "@.", "@.-_+"):
            split = name.translate(dict.fromkeys(map(ord, signs), " ")).split()
            parts.update(map(_plain, split))
            parts.update(_plain(a + b) for a, b in pairwise(split))
    return parts
