"""Card numbers, bank accounts and bare national ids: windows of a valid length that pass their check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from audit.finders.check_digits import passes_luhn, values
from audit.finders.digit_ids import DIGITS_ONLY, Check

Span = tuple[int, int]

#: At least nine digits; `runs` splits them where they stand too far apart.
_RUN = re.compile(r"[0-9][0-9 ./\n_-]{7,}[0-9]")
_GROUP = re.compile(r"[0-9]+")
_MAX_GAP = 3

#: Issuers by what their numbers begin with, and the numbers' lengths (ISO/IEC 7812; the brands' published ranges).
_ISSUERS = (
    ("4", (13, 16, 19)),  # Visa
    ("51-55 2221-2720", (16,)),  # Mastercard
    ("34 37", (15,)),  # American Express
    ("300-305 3095 36 38-39", (14, 16)),  # Diners Club
    ("6011 644-649 65 60", (16, 17, 18, 19)),  # Discover, RuPay
    ("3528-3589", (16, 17, 18, 19)),  # JCB
    ("62 81-82", (16, 17, 18, 19)),  # UnionPay, RuPay
    ("5018 5020 5038 5893 6304 6390 6759 6761-6763", tuple(range(12, 20))),  # Maestro
    ("5019 5060-5061 5078-5079 508 6360-6369 637-639", (16, 18, 19)),  # Dankort, Verve, RuPay, Elo, InstaPayment
    ("2200-2205 9792 9860 8600", (16, 17, 18, 19)),  # Mir, Troy, Humo, UzCard
)


def _by_prefix() -> dict[str, tuple[int, ...]]:
    """For each first four digits the lengths that a card's number may have, the longest first."""
    lengths: dict[str, set[int]] = {}
    for prefixes, allowed in _ISSUERS:
        for word in prefixes.split():
            first, _, last = word.partition("-")
            width = 10 ** (4 - len(first))
            for number in range(int(first) * width, (int(last or first) + 1) * width):
                lengths.setdefault(f"{number:04}", set()).update(allowed)
    return {prefix: tuple(sorted(each, reverse=True)) for prefix, each in lengths.items()}


_LENGTHS = _by_prefix()


class Run(NamedTuple):
    """Groups of digits that stand together: each group's span in the text, all digits, each group's offset in those."""

    groups: list[Span]
    digits: str
    offsets: list[int]


def runs(text: str, start: int, end: int) -> Iterator[Run]:
    """The runs that begin before `end`; of a run that began before `start`, only the groups from there on."""
    if text[start - 1 : start].isdigit() and (begun := _GROUP.match(text, start)):
        start = begun.end()
    for match in _RUN.finditer(text, start):
        if match.start() >= end:
            return
        groups: list[Span] = []
        for group in _GROUP.finditer(text, *match.span()):
            if groups and group.start() - groups[-1][1] > _MAX_GAP:
                yield _run(text, groups)
                groups = []
            groups.append(group.span())
        yield _run(text, groups)


def _run(text: str, groups: list[Span]) -> Run:
    sizes = [last - first for first, last in groups]
    digits = "".join([text[first:last] for first, last in groups])
    return Run(groups, digits, [0, *accumulate(sizes)])


def bare(text: str, start: int, end: int) -> Iterator[Span]:
    """Cards and national ids of digits alone that begin in `text[start:end]`."""
    for run in runs(text, start, end):
        groups, digits, offsets = run
        ends = dict(zip(offsets, range(len(offsets)), strict=True))
        first = found_at = 0
        while first < len(groups) and groups[first][0] < end:
            offset, behind = offsets[first], None
            if (lengths := _LENGTHS.get(digits[offset : offset + 4])) is not None:
                behind = _card(run, first, ends, lengths, is_in_row=first > found_at)
            if behind is None and (level := _TREE.get(offsets[first + 1] - offset)) is not None:
                behind = _national_id(text, run, first, level)
            if behind:
                yield groups[first][0], groups[behind - 1][1]
                found_at = behind
            first = behind or first + 1


def _card(run: Run, first: int, ends: dict[int, int], lengths: tuple[int, ...], *, is_in_row: bool) -> int | None:
    """The index of the group behind a card that begins with group `first`; None if none begins there."""
    offset, own = run.offsets[first], run.offsets[first + 1] - run.offsets[first]
    if own < 3 and first and run.offsets[first - 1] == offset - own:
        # A card number in single digits is not part of a longer row of digits.
        return None
    # A group that is a card by itself is the card, even if the next group with it passes as well.
    for length in (own, *lengths) if own in lengths else lengths:
        behind = ends.get(offset + length)
        if behind and _is_grouped(run, first, behind) and passes_luhn(values(run.digits[offset : offset + length])):
            return None if is_in_row and _is_within_many(run, first, behind) else behind
    return None


def _is_within_many(run: Run, first: int, behind: int) -> bool:
    """Whether it is in the middle of a long row of groups of one size: there a tenth of all windows pass."""
    if behind == len(run.groups) or behind - first == 1:
        return False
    sizes = [after - before for before, after in pairwise(run.offsets)]
    return sizes[first - 1] == sizes[first] == sizes[behind] and sizes.count(sizes[first]) >= behind - first + 4


def _is_grouped(run: Run, first: int, behind: int) -> bool:
    """Whether people group a card so: single digits, or at least three digits in each group but the last."""
    if behind - first == 1:
        return True
    offsets = run.offsets
    if offsets[behind] - offsets[first] == behind - first:
        return behind == len(run.groups) or offsets[behind + 1] - offsets[behind] > 1
    return all(offsets[index + 1] - offsets[index] >= 3 for index in range(first, behind - 1))


def _is_continued(text: str, run: Run, first: int, behind: int) -> tuple[bool, bool]:
    """Whether more groups stand before and behind these, with the separator of the first two."""
    begin, end = run.groups[first][0], run.groups[behind - 1][1]
    separator = text[run.groups[first][1] : run.groups[min(first + 1, len(run.groups) - 1)][0]]
    size = len(separator)
    is_before = text[max(0, begin - size) : begin] == separator and text[begin - size - 1 : begin - size].isdigit()
    is_behind = text[end : end + size] == separator and text[end + size : end + size + 1].isdigit()
    return is_before, is_behind


#: The checks of ids with the group sizes so far, and by the size of the next group the level that follows.
_Level = tuple[tuple[Check, ...], dict[int, "_Level"]]


def _tree() -> dict[int, _Level]:
    tree: dict[int, _Level] = {}
    for shape, checks in sorted(DIGITS_ONLY.items(), key=lambda item: len(item[0])):
        level = tree
        for size in shape[:-1]:
            level = level.setdefault(size, ((), {}))[1]
        level[shape[-1]] = (checks, level.get(shape[-1], ((), {}))[1])
    return tree


_TREE = _tree()


def _national_id(text: str, run: Run, first: int, level: _Level) -> int | None:
    """The index of the group behind an id that begins with group `first`, whose size has led to `level`; else None."""
    groups, behind = run.groups, first + 1
    while True:
        checks, longer = level
        if checks and _stands_alone(text, run, first, behind):
            written = text[groups[first][0] : groups[behind - 1][1]]
            digits = values(run.digits[run.offsets[first] : run.offsets[behind]])
            if any(check(digits, written) for check in checks):
                return behind
        if not longer or behind == len(groups):
            return None
        if (next_level := longer.get(groups[behind][1] - groups[behind][0])) is None:
            return None
        level, behind = next_level, behind + 1


def _stands_alone(text: str, run: Run, first: int, behind: int) -> bool:
    """Whether no letters touch it, and no more groups follow with the separator of its own."""
    around = (
        text[run.groups[first][0] - 1 : run.groups[first][0]],
        text[run.groups[behind - 1][1] : run.groups[behind - 1][1] + 1],
    )
    if around[0].isalnum() or around[1].isalnum():
        return False
    return behind - first == 1 or not any(_is_continued(text, run, first, behind))
