"""Telephone numbers in text: international ones by their country's lengths, national ones by how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

#: How many digits may follow each country calling code (ITU-T E.164; the lengths of libphonenumber's metadata).
_LENGTHS = """
4-5: 290
4-7: 683 690
4-10: 98
4-11: 352
4-12: 598
4-13: 43 49
5-5: 500 682
5-6: 247
5-7: 676 677 678 688
5-8: 47 386 686
5-10: 27 64 685
5-11: 31 852
5-12: 61 358 971
5-13: 82
6-6: 298 299 672 687
6-7: 597
6-9: 40 252 355 376 421 508 681 689
6-10: 48 53 95 880
6-11: 375 595
6-12: 39 46 359 381
6-13: 63
7-7: 238 239 246 248 269 291 297 592 673 674 680 691 692
7-8: 241 599 670 675 853 961 965 975
7-9: 220 231 245 265 354 385 423 967 968
7-10: 44 84 230 243 254 263 267 353 372 960
7-11: 501 503 507 679 886 974
7-12: 86 882 972
7-13: 62 90
8-8: 45 216 222 223 226 227 228 232 235 236 253 257 266 350 356 357 370 371 373 374 389 505 509 800 808 973 993
8-9: 32 36 51 213 224 233 237 250 258 264 268 377 382 387 591 962 963
8-10: 20 60 378 506 850 855 856 964 970 976
8-11: 55 57 65 502 504 593 977
8-12: 92 383 883
8-13: 66 81 91
9-9: 33 34 93 94 211 212 218 221 240 242 244 249 251 255 256 260 261 262 351 590 594 596 979 992 994 995 998
9-10: 380 881 966 996
9-11: 56
9-12: 41 420 870
10-10: 1 7 52 58 225 229
10-11: 54
10-12: 30 234
11-11: 888
12-12: 878
"""
_MAX_DIGITS = 15
#: A plus and at least so many digits are a telephone number even if no country has such: people mistype their own.
_MIN_MISTYPED = 9
_NATIONAL_DIGITS = range(9, 13)

_INTERNATIONAL = re.compile(
    r"(?<![\w.+])(?:\+ ?\(?|(?<![0-9][ ./-])00[ -]?)[1-9](?:(?:(?! -[0-9])[ ./()-]){0,3}[0-9]){6,18}(?![0-9])"
)
_GROUP = re.compile(r"[0-9]+")
_NEXT_BEFORE, _NEXT_BEHIND = re.compile("[0-9] "), re.compile(" [0-9]")
#: Amounts are written with a plus and in threes as well.
UNIT = re.compile(
    r" ?(?:[$€£¥%°]|(?i:eur|usd|gbp|chf|pln|zł|czk|kč|sek|nok|dkk|kr|inr|jpy|people|km|kg|m|mm|cm|ms|bytes|rows|mhz"
    r"|ghz|mah|mb|gb)\b)"
)

_NATIONAL = re.compile(
    # Not in the middle of a number, a version or a time. The digits of each: as people of the named countries write.
    r"(?<![\w+])(?<![0-9][-.,:/])(?:"
    r"\(0[1-9][0-9]{0,3}\)[ /-]{0,3}[0-9]{2,8}(?:[ -][0-9]{2,5}){0,3}"  # Germany, the UK, Australia: (030) 1234-5678
    r"|0[1-9][0-9]{0,4}(?:[ ./-]{1,3}[0-9]{2,8}){1,4}"  # wherever 0 leads out of town: 020 7946 0958, 0171/1234567
    r"|0[1-9][0-9]{8,9}"  # the same in one: 07911123456
    r"|\(0\) ?[1-9][0-9]{1,4}(?:[ ./-][0-9]{2,8}){1,4}|0 [1-9][0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}"  # the 0 apart
    r"|1(?:3[0-9]|4[5-9]|5[0-35-9]|66|7[0-8]|8[0-9]|9[0-9])[ -]?[0-9]{4}[ -]?[0-9]{4}"  # mobiles in China
    r"|(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"  # North America: (415) 555-2671
    r"|(?:8[ -]?)?\(?[0-9]{3}\)?[ -][0-9]{3}-[0-9]{2}-[0-9]{2}"  # Russia: 8 (495) 123-45-67
    r"|\(?[1-9][0-9]\)? 9[0-9]{4}-[0-9]{4}|\([1-9][0-9]\) [0-9]{4}-[0-9]{4}"  # Brazil: (11) 91234-5678
    r"|[2-9][0-9] [0-9]{4} [0-9]{4}"  # Mexico: 55 1234 5678
    r"|[6-9][0-9]{4}[ -][0-9]{5}"  # India: 98765 43210
    r"|[5-9][0-9]{2}(?: [0-9]{3} [0-9]{3}|-[0-9]{3}-[0-9]{3}|(?: [0-9]{2}){3})"  # Spain, Portugal, Poland, Czechia
    r"|9[0-9] [0-9]{3} [0-9]{2} [0-9]{2}"  # Spain: 91 123 45 67
    r")(?![0-9A-Za-z]|[-./][0-9])"
)


def _read(lengths: str) -> dict[str, range]:
    known, allowed = {}, range(0)
    for word in lengths.split():
        if word.endswith(":"):
            least, _, most = word[:-1].partition("-")
            allowed = range(int(least), int(most) + 1)
        else:
            known[word] = allowed
    return known


LENGTHS_OF_CODES = _read(_LENGTHS)


def international(text: str, start: int, end: int) -> Iterator[Span]:
    """Numbers that begin with + or 00 and a country's code, and begin in `text[start:end]`."""
    at = start
    while (match := _INTERNATIONAL.search(text, at)) and match.start() < end:
        stop = _end(match)
        at = stop or match.start() + 1
        if stop:
            yield match.start(), stop


def _end(match: re.Match[str]) -> int | None:
    """Where the number ends: behind the last group of digits with which it has a length that its country has."""
    text, has_plus = match[0], match[0][0] == "+"
    if "(0)" in text:
        text = text.replace("(0)", "   ")
    groups = [group.span() for group in _GROUP.finditer(text, 0 if has_plus else 2)]
    start = "".join([text[first:last] for first, last in groups[:3]])
    size = next((size for size in (1, 2, 3) if start[:size] in LENGTHS_OF_CODES), 0)
    allowed = LENGTHS_OF_CODES.get(start[:size], range(0))
    digits, found, mistyped = -size, None, None
    for first, last in groups:
        digits += last - first
        if digits + size > _MAX_DIGITS:
            break
        if digits in allowed:
            found = last
        elif has_plus and digits + size >= _MIN_MISTYPED:
            mistyped = last
    end = found or mistyped
    if end is None or UNIT.match(match.string, match.start() + end):
        return None
    return match.start() + end


def national(text: str, start: int, end: int) -> Iterator[Span]:
    """Numbers in the forms that people use within their country, that begin in `text[start:end]`."""
    for match in _NATIONAL.finditer(text, start):
        if match.start() >= end:
            return
        stop = _end_of_national(match)
        if stop and not _is_one_of_many(match) and not UNIT.match(text, stop):
            yield match.start(), stop


def _end_of_national(match: re.Match[str]) -> int | None:
    digits, found = 0, None
    for group in _GROUP.finditer(match.string, *match.span()):
        digits += len(group[0])
        if digits in _NATIONAL_DIGITS:
            found = group.end()
    return found


def _is_one_of_many(match: re.Match[str]) -> bool:
    """Whether it is part of a row of numbers, or a row of round ones; one that begins with 0 is neither."""
    if match[0].lstrip("(")[0] == "0" or " " not in match[0]:
        return False
    before, behind = (
        match.string[max(0, match.start() - 2) : match.start()],
        match.string[match.end() : match.end() + 2],
    )
    is_round = all(group.endswith("0") for group in _GROUP.findall(match[0]))
    return is_round or bool(_NEXT_BEFORE.match(before) or _NEXT_BEHIND.match(behind))
