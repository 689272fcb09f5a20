"""Searches a text for secrets and personal data, slice by slice.

A pattern holds the interpreter from the beginning of its search to the end. So a text is searched in slices, and
between two of them other threads get their turn. Whatever begins in a slice is found in it, even if it ends behind the
slice: a view is longer than its slice by the length of the longest thing that is looked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from audit.finders.accounts import accounts
from audit.finders.credentials import emails, rest_of_secret, secrets
from audit.finders.harmless import blank, without_harmless
from audit.finders.labelled import labelled
from audit.finders.national_ids import lettered
from audit.finders.numbers import bare
from audit.finders.telephones import international, national
from audit.folding import fold

Span = tuple[int, int]
Finder = Callable[[str, int, int], Iterator[Span]]

MASK = "***"
_DIGIT = re.compile("[0-9]")
SLICE_CHARACTERS = 768
#: After so long a search yields the interpreter to whoever waits for it; each time costs one turn of theirs.
TURN_SECONDS = 0.001
#: The longest thing is a domain; a secret may be longer, and the next slice follows it (`Slice.is_cut`).
REACH_CHARACTERS = 320
#: The same for numbers, and how far before one its name may stand.
NUMBERS_REACH, NUMBERS_BACK = 128, 48

#: Accounts come before cards and telephones, which they may contain: a finder does not see what an earlier one found.
NUMBERS: tuple[Finder, ...] = (accounts, international, bare, lettered, national, labelled)


class Slice(NamedTuple):
    """The spans found, where the next slice begins, and whether it begins within a secret."""

    spans: list[Span]
    end: int
    is_cut: bool


def scrub(text: str) -> str:
    """Text without keys, tokens, passwords in URLs, e-mail addresses, and card, account, telephone and id numbers."""
    return _masked(text, NUMBERS)


def scrub_all(texts: Sequence[str]) -> list[str]:
    """Like `scrub` for each of several texts, and several times as fast where they are short and hold nothing.

    Short texts are searched several at a time, as one slice: NUL, by which found things are blanked, belongs to nothing
    that is looked for, and no finder looks past one. So a slice without a find has none in any of its texts; the texts
    of a slice with one are searched again one by one.
    """
    scrubbed: list[str] = []
    for lot in _lots(texts):
        joined = "\0\0".join(lot)
        is_clean = len(lot) > 1 and not search_slice(joined, 0, size=len(joined)).spans
        scrubbed += lot if is_clean else map(scrub, lot)
    return scrubbed


def _lots(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in their order, as many at a time as fit into a slice."""
    lot: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        if lot and size > SLICE_CHARACTERS:
            yield lot
            lot, size = [], len(text)
        lot.append(text)
    if lot:
        yield lot


def scrub_secrets(text: str) -> str:
    """Text without keys, tokens, passwords in URLs and e-mail addresses: for lines that are full of numbers."""
    return _masked(text, ())


def _masked(text: str, numbers: Sequence[Finder]) -> str:
    spans: list[Span] = []
    end, is_cut = 0, False
    given_at = time.perf_counter()
    while end < len(text):
        found, end, is_cut = search_slice(text, end, numbers, is_cut=is_cut)
        spans += found
        if end < len(text) and time.perf_counter() - given_at > TURN_SECONDS:
            time.sleep(0)
            given_at = time.perf_counter()
    return _without(text, spans) if spans else text


def search_slice(
    text: str, start: int, numbers: Sequence[Finder] = NUMBERS, *, is_cut: bool = False, size: int = SLICE_CHARACTERS
) -> Slice:
    """Searches `text[start : start + size]`; `is_cut` says that it begins within a secret."""
    end = min(start + size, len(text))
    view = fold(text, max(0, start - REACH_CHARACTERS), min(len(text), end + REACH_CHARACTERS))
    plain, first, last = view.text, view.within(start), view.within(end)
    found: list[Span] = []
    if is_cut and (rest := rest_of_secret(plain, first)) > first:
        found.append((first, rest))
    begin = found[-1][1] if found else first
    found += secrets(plain, begin, last)
    is_cut = bool(found) and found[-1][1] == len(plain) and end < len(text)
    found += emails(blank(plain, found), begin, last)
    if numbers:
        found += _numbers(blank(plain, found), first, last, numbers)
    spans = [view.span(*each) for each in found]
    return Slice(spans, max([end, *(each[1] for each in spans)]), is_cut)


def _numbers(plain: str, first: int, last: int, finders: Iterable[Finder]) -> Iterator[Span]:
    # A number may begin with letters, and have all of its digits behind the slice.
    if _DIGIT.search(plain, first, last + NUMBERS_REACH) is None:
        return
    offset = max(0, first - NUMBERS_BACK)
    plain = without_harmless(plain[offset : last + NUMBERS_REACH])
    for find in finders:
        found = list(find(plain, first - offset, last - offset))
        plain = blank(plain, found)
        for start, end in found:
            yield start + offset, end + offset


def _without(text: str, spans: list[Span]) -> str:
    """The text with a mask for each span; spans that touch get one."""
    parts, at = [], -1
    for start, end in sorted(spans):
        if start > at:
            parts += [text[max(at, 0) : start], MASK]
        at = max(at, end)
    return "".join([*parts, text[at:]])
