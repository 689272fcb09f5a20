"""National ids that have letters among their digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from audit.finders.check_digits import is_day, values, weighted

Span = tuple[int, int]

#: Each begins at a word's edge. A look ahead from there rules out most other words and numbers.
_LETTERED = re.compile(
    r"(?a)(?<![0-9A-Za-z])(?:"
    r"(?=[0-9]{5}|[0-9]{1,2}\.[0-9]{3}\.|[12] [0-9]{2} [0-9]{2} )(?:"
    r"(?P<dni>[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}[ -]?[A-Za-z])"
    r"|(?P<hetu>[0-9]{6}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Za-z])"
    r"|(?P<china>[0-9]{17}[0-9Xx])"
    r"|(?P<nir>[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[ABab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})"
    r"|(?P<rut>[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9Kk])"
    r")|(?=[A-Za-z]{1,6}[ -]?[0-9]{2})(?i:"
    r"(?P<nino>(?:QQ|(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])(?:[ -]?[0-9]{2}){3}[ -]?[A-D])"
    r"|(?P<nie>[XYZ][ -]?[0-9]{7}[ -]?[A-Z])"
    r"|(?P<fiscale>[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z])"
    r"|(?P<pan>[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z])"
    r"|(?P<curp>[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9])"
    r"|(?P<rfc>[A-Z]{4}[0-9]{6}[0-9A-Z]{3})"
    r"|(?P<nric>[STFG][0-9]{7}[A-Z])"
    r"|(?P<hkid>[A-Z]{1,2}[0-9]{6}\([0-9A]\))"
    r"|(?P<taiwan>[A-Z][12][0-9]{8})"
    r"))(?![0-9A-Za-z])"
)

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD_OF_ITALY = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_OMOCODIA = {ord(letter): str(digit) for digit, letter in enumerate("LMNPQRSTUV")}
_TAIWAN = {letter: number for number, letter in enumerate("ABCDEFGHJKLMNPQRSTUVXYWZIO", 10)}


def _is_dni(text: str) -> bool:
    return _DNI_LETTERS[int(text[:-1]) % 23] == text[-1]


def _is_nie(text: str) -> bool:
    return _is_dni(str("XYZ".index(text[0])) + text[1:])


def _is_fiscale(text: str) -> bool:
    values = [int(char) if char.isdigit() else ord(char) - 65 for char in text[:15]]
    day = int(text[9:11].translate(_OMOCODIA)) % 40
    is_right = (sum(_ODD_OF_ITALY[value] for value in values[::2]) + sum(values[1::2])) % 26 == ord(text[15]) - 65
    return is_right and 1 <= day <= 31


def _is_hetu(text: str) -> bool:
    digits = text[:6] + text[7:10]
    return is_day(int(text[2:4]), int(text[:2])) and _HETU_LETTERS[int(digits) % 31] == text[10]


def _is_dated(text: str) -> bool:
    return is_day(int(text[6:8]), int(text[8:10]))


def _is_nric(text: str) -> bool:
    """Singapore."""
    total = weighted(values(text[1:8]), (2, 7, 6, 5, 4, 3, 2)) + 4 * (text[0] in "TG")
    return ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[total % 11] == text[8]


def _is_of_taiwan(text: str) -> bool:
    first = _TAIWAN[text[0]]
    return (first // 10 + weighted(values(str(first % 10) + text[1:]), (9, 8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def _is_of_china(text: str) -> bool:
    """GB 11643: ISO/IEC 7064, MOD 11-2."""
    is_dated = text[6:8] in {"18", "19", "20"} and is_day(int(text[10:12]), int(text[12:14]))
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return is_dated and "10X98765432"[weighted(values(text[:17]), weights) % 11] == text[17]


def _is_nir(text: str) -> bool:
    """France; the departments of Corsica count as 19 and 18."""
    digits = text.replace("2A", "19", 1) if text[5:7] == "2A" else text.replace("2B", "18", 1)
    return digits.isdigit() and 97 - int(digits[:13]) % 97 == int(digits[13:]) and int(text[3:5]) <= 99


def _is_rut(text: str) -> bool:
    """Chile."""
    total = weighted(values(text[-2::-1]), (2, 3, 4, 5, 6, 7, 2, 3))
    return "0K987654321"[total % 11] == text[-1]


def _has_no_check_digit(_: str) -> bool:
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "nino": _has_no_check_digit,
    "dni": _is_dni,
    "nie": _is_nie,
    "fiscale": _is_fiscale,
    "pan": _has_no_check_digit,
    "hetu": _is_hetu,
    "curp": _is_dated,
    "rfc": _is_dated,
    "nric": _is_nric,
    "hkid": _has_no_check_digit,
    "taiwan": _is_of_taiwan,
    "china": _is_of_china,
    "nir": _is_nir,
    "rut": _is_rut,
}
_SEPARATORS = str.maketrans("", "", " .")


def lettered(text: str, start: int, end: int) -> Iterator[Span]:
    """Ids of letters and digits that begin in `text[start:end]`."""
    at = start
    while (match := _LETTERED.search(text, at)) and match.start() < end:
        kind = match.lastgroup or ""
        compact = match[0].upper().translate(_SEPARATORS)
        is_id = _CHECKS[kind](compact if kind == "hetu" else compact.replace("-", ""))
        at = match.end() if is_id else match.start() + 1
        if is_id:
            yield match.span()
