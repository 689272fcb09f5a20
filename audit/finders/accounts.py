"""International bank account numbers in text (ISO 13616)."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

Span = tuple[int, int]

#: The lengths of each country's accounts, from the registry.
_REGISTRY = """
15: NO  16: BE  18: DK FI FK FO GL NL SD  19: MK SI  20: AT BA EE KZ LT LU MN XK  21: CH HR LI LV
22: BG BH CR DE GB GE IE ME RS VA  23: AE GI IL IQ OM SO TL  24: AD CZ ES MD PK RO SA SE SK TN VG  25: LY PT ST
26: IS TR  27: BI DJ FR GR IT MC SM  28: AL AZ BY CY DO GT HN HU LB NI PL SV  29: BR EG PS QA UA  30: JO KW MU YE
31: MT SC  32: LC  33: RU
"""
_CANDIDATE = re.compile(r"(?<![0-9A-Za-z])(?:(?i:IBAN))?([A-Za-z]{2})[ -]?[0-9]{2}(?=[ \n./-]{0,2}[0-9A-Za-z])")
_SEPARATORS = " ./\n-"
_WITHOUT_SEPARATORS = str.maketrans("", "", _SEPARATORS)
_MAX_GAP = 2
#: 0 to 9 are themselves, A to Z and a to z are 10 to 35.
_NUMBERS = {char: str(int(char, 36)) for char in string.digits + string.ascii_letters}


def _lengths() -> dict[str, int]:
    lengths, length = {}, 0
    for word in _REGISTRY.split():
        if word.endswith(":"):
            length = int(word[:-1])
        else:
            lengths[word] = length
    return lengths


LENGTHS = _lengths()


def accounts(text: str, start: int, end: int) -> Iterator[Span]:
    """Accounts whose check digits are right and that begin in `text[start:end]`, however they are grouped."""
    at = start
    while (match := _CANDIDATE.search(text, at)) and match.start() < end:
        length = LENGTHS.get(match[1].upper())
        stop = _end(text, match.start(1), length) if length else None
        at = stop or match.end()
        if stop:
            yield match.start(1), stop


def _end(text: str, start: int, length: int) -> int | None:
    account = text[start : start + 2 * length].translate(_WITHOUT_SEPARATORS)[:length]
    if len(account) < length or not account.isascii() or not account.isalnum() or not is_account(account):
        return None
    # Character by character: only texts with the right check digits come here.
    at, left, gap = start, length, 0
    while left and gap <= _MAX_GAP:
        is_separator = text[at] in _SEPARATORS
        gap, left, at = (gap + 1, left, at + 1) if is_separator else (0, left - 1, at + 1)
    return None if left or text[at : at + 1].isalnum() else at


def is_account(account: str) -> bool:
    """Whether the check digits are right: the first four characters last, letters as 10 to 35, the rest of 97 is 1."""
    return int("".join(map(_NUMBERS.__getitem__, account[4:] + account[:4]))) % 97 == 1
