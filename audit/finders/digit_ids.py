"""National ids that are digits alone: which digits can be one, by date, form and check digits."""

from __future__ import annotations

from collections.abc import Callable

from audit.finders.check_digits import is_day, passes_luhn, passes_verhoeff, weighted

#: Whether digits (as bytes of 0 to 9) can be an id of one kind, with the text that they were written in.
Check = Callable[[bytes, str], bool]

_POWERS_OF_TEN = tuple(10**power for power in range(8, -1, -1))


def _two(digits: bytes, index: int) -> int:
    return digits[index] * 10 + digits[index + 1]


def _is_tax_id_of_germany(digits: bytes, _: str) -> bool:
    """Among the first ten digits, exactly one comes two or three times; ISO/IEC 7064, MOD 11,10."""
    counts = sorted(map(digits[:10].count, set(digits[:10])))
    if not digits[0] or counts[-2] > 1 or counts[-1] not in {2, 3}:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((product + digit) % 10 or 10) * 2 % 11
    return (product + digits[10]) % 10 == 1


def _is_pesel(digits: bytes, _: str) -> bool:
    """Poland; a century is added to the month."""
    is_right = weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    return is_right and is_day(_two(digits, 2) % 20, _two(digits, 4))


def _is_cpf(digits: bytes, _: str) -> bool:
    """Brazil."""
    if -weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10 != digits[9] or len(set(digits)) == 1:
        return False
    return -weighted(digits, (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10 == digits[10]


def _is_tc_kimlik(digits: bytes, _: str) -> bool:
    """Turkey."""
    is_right = sum(digits[:10]) % 10 == digits[10] and digits[0] != 0
    return is_right and (7 * sum(digits[:9:2]) - sum(digits[1:8:2])) % 10 == digits[9]


def _is_of_norway(digits: bytes, _: str) -> bool:
    """For temporary residents 40 is added to the day or the month."""
    is_right = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    is_right = is_right and weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    return is_right and is_day(_two(digits, 2) % 40, _two(digits, 0) % 40)


def _is_of_the_baltics(digits: bytes, _: str) -> bool:
    """Estonia and Lithuania."""
    if not (0 < digits[0] < 9 and is_day(_two(digits, 3), _two(digits, 5))):
        return False
    check = weighted(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    return digits[10] == (check if check < 10 else weighted(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10)


def _is_amka(digits: bytes, _: str) -> bool:
    """Greece."""
    return is_day(_two(digits, 2), _two(digits, 0)) and passes_luhn(digits)


def _is_of_belgium(digits: bytes, _: str) -> bool:
    """The check digits are 97 minus the remainder; for people born since 2000, a 2 is put before the number."""
    if _two(digits, 2) % 20 > 12 or _two(digits, 4) > 31:
        return False
    rest = weighted(digits[:9], _POWERS_OF_TEN)
    return _two(digits, 9) in {97 - rest % 97, 97 - (rest + 2 * 10**9) % 97}


def _is_snils(digits: bytes, _: str) -> bool:
    """Russia."""
    return weighted(digits, range(9, 0, -1)) % 101 % 100 == _two(digits, 9)


def _is_ahv(digits: bytes, _: str) -> bool:
    """Switzerland: an EAN whose country is 756."""
    return digits[:3] == b"\7\5\6" and weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def _is_cnp(digits: bytes, _: str) -> bool:
    """Romania; a check digit of ten is a one."""
    is_dated = digits[0] != 0 and is_day(_two(digits, 3), _two(digits, 5))
    check = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return is_dated and digits[12] == (1 if check == 10 else check)


def _is_emso(digits: bytes, _: str) -> bool:
    """Slovenia and its neighbours."""
    is_dated = is_day(_two(digits, 2), _two(digits, 0)) and digits[4] in {0, 9}
    return is_dated and -weighted(digits, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 % 10 == digits[12]


def _is_of_south_africa(digits: bytes, _: str) -> bool:
    return is_day(_two(digits, 2), _two(digits, 4)) and digits[10] < 2 and passes_luhn(digits)


def _is_of_sweden(digits: bytes, _: str) -> bool:
    """Ten or twelve digits; for temporary residents 60 is added to the day."""
    if len(digits) == 12 and _two(digits, 0) not in {18, 19, 20}:
        return False
    short = digits[-10:]
    return is_day(_two(short, 2), _two(short, 4) % 60) and passes_luhn(short)


def _is_dated_in_front(digits: bytes, written: str) -> bool:
    """Denmark, Latvia and Iceland: a date, and a number behind a dash; most have no check digit any more."""
    return written[6] == "-" and is_day(_two(digits, 2), _two(digits, 0))


def _is_cpr(digits: bytes, _: str) -> bool:
    """Denmark without a dash, with the old check digit."""
    is_dated = is_day(_two(digits, 2), _two(digits, 0))
    return is_dated and weighted(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _is_egn(digits: bytes, _: str) -> bool:
    """Bulgaria; a century is added to the month."""
    is_dated = _two(digits, 2) <= 52 and is_day(_two(digits, 2) % 20, _two(digits, 4))
    return is_dated and weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == digits[9]


def _is_rodne_cislo(digits: bytes, written: str) -> bool:
    """Czechia and Slovakia; 50 is added to the month for women, and 20 if a day has no numbers left."""
    is_dated = "/" in written and is_day(_two(digits, 2) % 50 % 20, _two(digits, 4))
    return is_dated and (len(digits) == 9 or weighted(digits[:9], _POWERS_OF_TEN) % 11 % 10 == digits[9])


def _is_of_austria(digits: bytes, _: str) -> bool:
    is_dated = digits[0] != 0 and _two(digits, 6) <= 15 and 0 < _two(digits, 4) <= 31
    return is_dated and weighted(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == digits[3]


def _is_ssn(digits: bytes, written: str) -> bool:
    """The United States; the numbers have no check digit."""
    is_written_so = written[3] == written[6] != "."
    return is_written_so and digits[:3] not in {b"\0\0\0", b"\6\6\6"} and _two(digits, 3) > 0


def _is_aadhaar(digits: bytes, _: str) -> bool:
    """India; only in groups: a tenth of all parcels' bare numbers would pass."""
    return digits[0] >= 2 and passes_verhoeff(digits)


def _is_of_korea(digits: bytes, written: str) -> bool:
    return written[6] == "-" and is_day(_two(digits, 2), _two(digits, 4))


def _is_of_malaysia(digits: bytes, written: str) -> bool:
    return written[6] == "-" == written[9] and is_day(_two(digits, 2), _two(digits, 4))


def _is_of_thailand(digits: bytes, _: str) -> bool:
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == digits[12]


def _is_cuit(digits: bytes, _: str) -> bool:
    """Argentina; a check digit of ten is a nine."""
    check = -weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[0] in {2, 3} and digits[10] == min(check, 9)


def _is_cnic(digits: bytes, written: str) -> bool:
    """Pakistan."""
    return written[5] == "-" == written[13] and 0 < digits[0] < 8


#: The groups in which ids of digits alone are written, by their sizes, and the ids that each can be.
DIGITS_ONLY: dict[tuple[int, ...], tuple[Check, ...]] = {
    (11,): (
        _is_pesel,
        _is_cpf,
        _is_tax_id_of_germany,
        _is_of_norway,
        _is_of_the_baltics,
        _is_amka,
        _is_tc_kimlik,
        _is_of_belgium,
    ),
    (10,): (_is_of_sweden, _is_egn, _is_cpr),
    (12,): (_is_of_sweden,),
    (13,): (_is_ahv, _is_cnp, _is_emso, _is_of_south_africa),
    (2, 3, 3, 3): (_is_tax_id_of_germany,),
    (3, 3, 3, 2): (_is_cpf, _is_snils),
    (6, 5): (_is_of_norway, _is_dated_in_front),
    (6, 4): (_is_of_sweden, _is_dated_in_front, _is_rodne_cislo),
    (8, 4): (_is_of_sweden,),
    (6, 3): (_is_rodne_cislo,),
    (6, 3, 2): (_is_of_belgium,),
    (2, 2, 2, 3, 2): (_is_of_belgium,),
    (3, 4, 4, 2): (_is_ahv,),
    (4, 6): (_is_of_austria,),
    (3, 2, 4): (_is_ssn,),
    (4, 4, 4): (_is_aadhaar,),
    (6, 7): (_is_of_korea,),
    (6, 4, 3): (_is_of_south_africa,),
    (6, 2, 4): (_is_of_malaysia,),
    (1, 4, 5, 2, 1): (_is_of_thailand,),
    (2, 8, 1): (_is_cuit,),
    (5, 7, 1): (_is_cnic,),
}
