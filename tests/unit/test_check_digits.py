"""Our arithmetic of accounts, ids and telephone numbers, held against libraries that know more and cost more."""

from __future__ import annotations

import importlib
import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff

from audit.finders import accounts, check_digits, digit_ids, national_ids, telephones
from audit.redaction import scrub

#: By kind: python-stdnum's module, how many digits, and how its date is written and where, for random ones to be valid.
DIGITS = {
    "_is_pesel": ("pl.pesel", 11, "ymd", 0), "_is_cpf": ("br.cpf", 11, "", 0),
    "_is_tax_id_of_germany": ("de.idnr", 11, "", 0), "_is_of_norway": ("no.fodselsnummer", 11, "dmy", 0),
    "_is_of_the_baltics": ("ee.ik", 11, "ymd", 1), "_is_amka": ("gr.amka", 11, "dmy", 0),
    "_is_tc_kimlik": ("tr.tckimlik", 11, "", 0), "_is_of_sweden": ("se.personnummer", 10, "ymd", 0),
    "_is_egn": ("bg.egn", 10, "ymd", 0), "_is_cnp": ("ro.cnp", 13, "ymd", 1),
    "_is_of_south_africa": ("za.idnr", 13, "ymd", 0), "_is_aadhaar": ("in_.aadhaar", 12, "", 0),
    "_is_of_thailand": ("th.pin", 13, "", 0),
}  # fmt: skip
LETTERED = {
    "_is_dni": ("es.dni", "########A"), "_is_nie": ("es.nie", "X#######A"), "_is_hetu": ("fi.hetu", "01057#-###*"),
    "_is_fiscale": ("it.codicefiscale", "AAAAAA##A10A###A"), "_is_of_china": ("cn.ric", "110101198507##0###"),
    "_is_rut": ("cl.rut", "########*"),
}  # fmt: skip


def random_digits(chance, size, form, place):
    digits = "".join(chance.choices("0123456789", k=size))
    date = {
        "y": f"{chance.randrange(40, 100)}",
        "m": f"{chance.randrange(1, 13):02}",
        "d": f"{chance.randrange(1, 29):02}",
    }
    written = "".join(date[each] for each in form)
    return digits[:place] + written + digits[place + len(written) :]


@pytest.mark.parametrize("name", DIGITS)
def test_no_id_that_stdnum_knows_is_unknown_to_us(name):
    """Of random numbers with a date in its place; at least some are valid."""
    module, size, form, place = DIGITS[name]
    theirs, ours, chance = importlib.import_module(f"stdnum.{module}"), getattr(digit_ids, name), random.Random(9)
    tried = [random_digits(chance, size, form, place) for _ in range(1500)]
    # The last digit in each of its ways, so that a tenth and not a hundredth is valid.
    tried += [digits[:-1] + last for digits in tried[:150] for last in "0123456789"]
    valid = [digits for digits in tried if theirs.is_valid(digits)]
    assert valid
    assert [digits for digits in valid if not ours(check_digits.values(digits), digits)] == []


@pytest.mark.parametrize("name", LETTERED)
def test_no_lettered_id_that_stdnum_knows_is_unknown_to_us(name):
    """Random ones of the right form: `#` a digit, `A` a letter, `*` either."""
    module, form = LETTERED[name]
    theirs, ours, chance = importlib.import_module(f"stdnum.{module}"), getattr(national_ids, name), random.Random(9)
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    kinds = {"#": "0123456789", "A": letters, "*": "0123456789" + letters}
    tried = ["".join(chance.choice(kinds.get(each, each)) for each in form) for _ in range(4000)]
    valid = [text for text in tried if theirs.is_valid(text)]
    assert valid
    assert [text for text in valid if not ours(text)] == []


@given(st.text("0123456789", min_size=2, max_size=25))
def test_luhns_digit_is_as_stdnum_has_it(digits):
    """Of any length."""
    assert check_digits.passes_luhn(check_digits.values(digits)) == luhn.is_valid(digits)


@given(st.text("0123456789", min_size=11, max_size=11))
def test_verhoeffs_digit_is_as_stdnum_has_it(digits):
    """Of Aadhaar's length, which begins with 2 to 9."""
    whole = "2" + digits
    assert digit_ids.DIGITS_ONLY[4, 4, 4][0](check_digits.values(whole), whole) == verhoeff.is_valid(whole)


def test_an_account_has_the_length_of_its_country():
    """As libphonenumber's lengths, the registry's are facts that a slip of the pen would spoil."""
    registry = importlib.import_module("stdnum.iban")
    for country, length in accounts.LENGTHS.items():
        rest = "0" * (length - 4)
        account = registry.calc_check_digits(country + "00" + rest)
        assert scrub(f"{country}{account}{rest} x") == "*** x"
        assert scrub(f"{country}{account}{rest}0 x") != "*** x"


def test_every_countrys_numbers_have_the_lengths_that_libphonenumber_knows():
    """The example of each country is hidden whole, with its plus and with 00."""
    assert telephones.LENGTHS_OF_CODES.keys() == {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is not None:
            written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
            assert scrub(f"call {written}, please") == "call ***, please", written
            assert scrub(f"call 00{written[1:]}, please") == "call ***, please", written
