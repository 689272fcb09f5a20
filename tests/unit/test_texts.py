"""Texts of others in a line of text: what cannot be seen, or would steer a terminal, is escaped."""

from __future__ import annotations

import json
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.log_output import RedactingFormatter
from values.texts import is_storable, shown

STEERING = {"Cc", "Cf", "Zl", "Zp", "Cs"}


@given(st.text(st.characters(), max_size=30))
def test_nothing_that_steers_or_hides_is_left(text):
    """No control, no mark of direction, no line break, no space but the plain one; everything else is as it was."""
    found = shown(text)
    assert not any(unicodedata.category(char) in STEERING for char in found)
    assert not any(unicodedata.category(char) == "Zs" for char in found.replace(" ", ""))
    assert is_storable(found)
    assert shown(found) == found


@pytest.mark.parametrize(
    ("text", "line"),
    [("Größe (cm) 😀 e\u0301", "Größe (cm) 😀 e\u0301"), ("a\tb\n", "a\\tb\\n"), ("\x1b[31m", "\\x1b[31m"), ("\x9b2J", "\\x9b2J"),
     ("a\u00a0b", "a\\xa0b"), ("\u202eabc", "\\u202eabc"), ("\u200b\u00ad\ufeff", "\\u200b\\xad\\ufeff"), ("\u3164", "\\u3164"),
     ("\ud800", "\\ud800"), ("\U000e0061", "\\U000e0061"), ("b\\s", "b\\s")],
)  # fmt: skip
def test_texts_as_they_are_shown(text, line):
    """What a person can read is left alone."""
    assert shown(text) == line


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_line_is_one_line_whatever_it_names(form):
    """A name of somebody's begins no line of its own, in either format."""
    words = "the column a\nb\x1b[2J\u202e\x9b"
    record = logging.LogRecord("adyton", logging.ERROR, "x.py", 1, "%s", (words,), None)
    line = RedactingFormatter(form).format(record)
    assert line.isprintable()
    found = json.loads(line)["message"] if form == "json" else line
    assert "a\\nb\\x1b[2J\\u202e\\x9b" in found
