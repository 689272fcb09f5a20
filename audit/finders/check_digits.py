"""The arithmetic of ids: their digits as numbers, the dates in them, and the check digits that several kinds share."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

_DOUBLED = bytes.maketrans(bytes(range(10)), bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: Verhoeff's multiplication in the dihedral group of ten; the first of his permutations is below.
_DIHEDRAL = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permutations() -> list[tuple[int, ...]]:
    rows = [tuple(range(10))]
    while len(rows) < 8:
        rows.append(tuple(rows[-1][digit] for digit in _PERMUTATION))
    return rows


_PERMUTED = _permutations()


def values(digits: str) -> bytes:
    """ASCII digits as bytes of 0 to 9."""
    return digits.encode().translate(_VALUES)


def weighted(digits: bytes, weights: Sequence[int]) -> int:
    return sum(map(mul, digits, weights))


def is_day(month: int, day: int) -> bool:
    return 0 < month < 13 and 0 < day <= _DAYS[month]


def passes_luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1, annex B."""
    return (sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def passes_verhoeff(digits: bytes) -> bool:
    """Verhoeff's check digit (1969)."""
    check = 0
    for position, digit in enumerate(digits[::-1]):
        check = _DIHEDRAL[check][_PERMUTED[position % 8][digit]]
    return check == 0
