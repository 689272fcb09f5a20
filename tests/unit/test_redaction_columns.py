"""Rows that are redacted by columns are stored as if each had been redacted alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.redaction import MASK, Redactor, fingerprint, scrub
from audit.searching import scrub_all, search_slice
from tests.support.redaction_cases import PERSONAL, PLAIN, text_of

KEY = b"k" * 32
CASES = [text_of(case) for cases in (*PERSONAL.values(), *PLAIN.values()) for case in cases]
#: What could join up across the border of two texts, and what could hide what stands behind it.
EDGES = [
    "",
    "4111 1111",
    "1111 1111",
    "tel",
    "ISBN",
    "order no",
    "+",
    "+49 30",
    "http://",
    "a:b",
    "@",
    '"',
    "iban DE89",
    "0",
    "1-",
    "\0",
]
PIECES = st.sampled_from(CASES) | st.sampled_from(EDGES) | st.text("0123456789 -./+()@aAxX:\0\n\u200b", max_size=40)


@given(st.lists(PIECES, max_size=30))
@example(["http://x", "a:b@c", "call 4111 1111 1111 1111"])
@example(["order no", "4111111111111111"])
def test_texts_are_searched_together_as_alone(texts):
    """Whatever stands beside a text: nothing more is found in it, and nothing less."""
    assert scrub_all(texts) == list(map(scrub, texts))


@pytest.mark.parametrize("before", ["", "plain words", "ISBN", "2024-11-26", "no 12345", "http://", "+49"])
def test_no_find_is_lost_beside_another_text(before):
    """Each text in which something is found makes the slice that it shares with others one with a find."""
    found = [text for text in CASES if scrub(text) != text and len(text) < 300]
    assert len(found) > 100
    assert [text for text in found if not search_slice(f"{before}\0\0{text}\0\0{before}", 0).spans] == []


def test_clean_texts_are_searched_several_at_a_time(monkeypatch):
    """A hundred short texts take a handful of searches, of which one is repeated for the text that holds something."""
    searches = []

    def counted(text, *arguments, **options):
        searches.append(text)
        return search_slice(text, *arguments, **options)

    monkeypatch.setattr("audit.searching.search_slice", counted)
    texts = [f"bottle {number} of 1987, dry" for number in range(100)]
    assert scrub_all(texts) == texts
    assert len(searches) <= 5
    texts[50] = "ask jane@example.com"
    assert scrub_all(texts)[50] == "ask ***"


LEVELS = st.sampled_from(["no", "mask", "fingerprint", "drop"])
VALUES = st.none() | st.booleans() | st.floats(allow_nan=False) | PIECES


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(LEVELS, st.booleans()), max_size=6).flatmap(
        lambda terms: st.tuples(
            st.just(terms), st.lists(st.fixed_dictionaries(dict.fromkeys(terms, VALUES)), max_size=6)
        )
    )
)
def test_rows_are_redacted_by_columns_as_one_by_one(given_rows):
    """Whatever the schema says of each feature; the rows themselves stay as they are."""
    terms, rows = given_rows
    before = json.dumps(rows)
    expected = [
        {name: value for name, each in row.items() for value in alone(name, each, *terms[name])} for row in rows
    ]
    redactor = Redactor(
        {name: level for name, (level, _) in terms.items()}, texts=[n for n, (_, is_text) in terms.items() if is_text]
    )
    assert json.loads(redactor.inputs(rows, KEY)) == expected
    assert json.dumps(rows) == before


def alone(name, value, level, is_text):
    """The value that may be stored of one feature in one row, in a list that is empty if none may."""
    if level == "drop":
        return []
    if level == "no":
        return [scrub(value) if is_text and isinstance(value, str) else value]
    return [MASK if level == "mask" else fingerprint(KEY, name, value)]
