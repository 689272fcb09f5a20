"""What redaction promises of every card and every account, and of every text."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban, luhn

from audit.finders.accounts import LENGTHS
from audit.redaction import scrub, scrub_secrets

SEPARATORS = st.sampled_from(["", " ", "-", ".", "\u00a0", "\u202f", "\u2011", "\u3000", "\u200b", " - "])
AROUND = st.sampled_from(["", " ", ", ", "\n", " 12/27 ", " 10.50 EUR, ", " (x) ", "; ", " 漢字 ", " 2024-11-26 "])
PREFIXES = {"4": 16, "51": 16, "2221": 16, "34": 15, "37": 15, "36": 14, "6011": 16, "3528": 16, "62": 16, "6759": 16}
WIDE = str.maketrans(string.digits, "０１２３４５６７８９")


@given(
    st.sampled_from(sorted(PREFIXES)),
    st.text("0123456789", min_size=15, max_size=15),
    SEPARATORS,
    AROUND,
    AROUND,
    st.booleans(),
)
def test_no_card_stays_readable(prefix, rest, separator, before, behind, is_wide):
    """Of every issuer, in fours, with any separator, in any width, whatever stands around it."""
    body = (prefix + rest)[: PREFIXES[prefix] - 1]
    number = body + luhn.calc_check_digit(body)
    groups = [number[place : place + 4] for place in range(0, len(number), 4)]
    written = separator.join(groups).translate(WIDE if is_wide else {})
    left = scrub(f"card{before or ' '}{written}{behind or ' '}end")
    assert "***" in left
    assert written not in left
    assert left.startswith("card")
    assert left.endswith("end")


@given(
    st.sampled_from(sorted(LENGTHS)),
    st.text(string.digits + string.ascii_uppercase, min_size=31, max_size=31),
    SEPARATORS,
    AROUND,
    st.booleans(),
)
def test_no_account_stays_readable(country, rest, separator, around, is_lower):
    """Of every country, in fours, with any separator, in capitals or not."""
    rest = rest[: LENGTHS[country] - 4]
    account = country + iban.calc_check_digits(f"{country}00{rest}") + rest
    # What has three separators between its groups is not written so by anybody.
    separator = separator if len(separator) < 3 else " "
    written = separator.join([account[place : place + 4] for place in range(0, len(account), 4)])
    written = written.lower() if is_lower else written
    assert scrub(f"to{around or ' '}{written}, please") == f"to{scrub(around or ' ')}***, please"


@given(st.text() | st.text("0123456789 -./+()@aAxX\u200b\n", max_size=200))
def test_every_text_can_be_searched(text):
    """Whatever it is; and what has been scrubbed of secrets has no more of them."""
    assert scrub_secrets(scrub_secrets(text)) == scrub_secrets(text)
    assert isinstance(scrub(text), str)


@given(st.text(string.ascii_letters + " ,.;:!?\n", max_size=300))
def test_a_text_of_plain_words_stays(text):
    """Without a digit, an at sign or a slash nothing is personal."""
    if not any(sign in text.lower() for sign in ("eyj", "ady", "bearer", "basic", "authorization")):
        assert scrub(text) == text
