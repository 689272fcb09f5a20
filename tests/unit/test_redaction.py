"""What may be stored, and what may be written to the log output."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.redaction import Redactor, scrub
from auth import api_keys
from program.log_output import RedactingFormatter

KEY = b"k" * 32

PERSONAL = [
    "jane.doe+x@example.co.uk", "4111 1111 1111 1111", "5500-0000-0000-0004", "GB82 WEST 1234 5698 7654 32",
    "DE89370400440532013000", "+44 20 7946 0958", "(030) 1234-5678 90".replace("(", "").replace(")", ""), "078-05-1120",
]  # fmt: skip


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_is_found_in_text(text):
    """E-mail addresses, cards, accounts, telephone numbers and national ids, whatever stands around them."""
    assert text not in scrub(f"please note {text}, thank you")
    assert scrub(f"please note {text}, thank you").startswith("please note ***")


@pytest.mark.parametrize(
    "text", ["order 4111111111111112", "3.14159265358979", "version 1.2.3", "room 12", "GB00 1234"]
)
def test_what_only_looks_like_it_stays(text):
    """A card number that fails Luhn, decimals, versions."""
    assert scrub(text) == text


def test_each_level_stores_what_it_says():
    """`no` the value, `mask` stars, `fingerprint` a keyed digest, `drop` nothing."""
    redactor = Redactor({"a": "no", "b": "mask", "c": "fingerprint", "d": "drop"}, texts=["a", "b", "d"])
    rows = [{"a": 1.5, "b": 2.5, "c": 3.5, "d": 4.5}, {"a": "mail jane@example.com", "b": "x", "c": 3.5, "d": "y"}]
    stored = json.loads(redactor.inputs(rows, KEY))
    assert stored[0]["a"] == 1.5
    assert stored[1]["a"] == "mail ***"
    assert all(set(row) == {"a", "b", "c"} for row in stored)
    assert {row["b"] for row in stored} == {"***"}
    assert stored[0]["c"] == stored[1]["c"]
    assert stored[0]["c"] != json.loads(redactor.inputs(rows, b"another tenant's key"))[0]["c"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_sensitive_value_is_never_in_what_is_stored(value):
    """For any number."""
    text = Redactor({"x": "fingerprint", "y": "drop", "z": "mask"}, texts=[]).inputs(
        [{"x": value, "y": value, "z": value}], KEY
    )
    assert json.loads(text)[0].keys() == {"x", "z"}
    assert len(json.loads(text)[0]["x"]) == 64


@pytest.mark.parametrize("form", ["json", "console"])
def test_log_lines_hold_no_secret_and_no_exceptions_words(form):
    """Keys, tokens, passwords in URLs and e-mail addresses go; of an exception its type and places stay."""
    key = api_keys.mint()
    formatter = RedactingFormatter(form)
    try:
        raise ValueError(f"value 733311 of {key}")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "key %s, Bearer abc.def, postgresql://u:pw1@h/d, jane@example.com",
            (key,), sys.exc_info(),
        )  # fmt: skip
    line = formatter.format(record)
    for canary in (key, "abc.def", "pw1", "jane@", "733311"):
        assert canary not in line
    assert "ValueError" in line
    assert "test_redaction.py" in line
    if form == "json":
        assert json.loads(line)["level"] == "error"


def test_text_is_searched_in_every_row_whatever_the_schema_says():
    """Not only where the first row has some."""
    stored = Redactor({"a": "no"}, texts=["a"]).inputs([{"a": None}, {"a": "jane@example.com"}], KEY)
    assert json.loads(stored) == [{"a": None}, {"a": "***"}]


def test_a_date_of_the_schema_stays_and_the_text_beside_it_is_searched():
    """The caller says which features are texts; a date is none, whatever its digits look like."""
    row = {"at": "8112189876", "day": "2026-03-01", "note": "8112189876 of 2026-03-01"}
    stored = json.loads(Redactor({}, texts=["note"]).inputs([row], KEY))
    assert stored == [{"at": "8112189876", "day": "2026-03-01", "note": "*** of 2026-03-01"}]
