"""A long text is searched in slices: nothing is lost at their edges, and none holds the interpreter for long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.redaction import scrub
from audit.searching import SLICE_CHARACTERS, search_slice
from tests.support.redaction_cases import PERSONAL, PLAIN, text_of

MIB = 1 << 20
MOST_SECONDS = 0.005
#: Of twice a text; the square of its length would take four times.
MOST_GROWTH = 2.6

ADVERSARIAL = {
    "digits": "1", "fours": "4", "plus": "+", "at": "@", "letters": "a", "a@": "a@", "dense digits": "1 ",
    "dashed digits": "4-", "cards": "4111 ", "ids": "44051401358 ", "telephones": "+99999999 ", "zeros": "001 ",
    "national": "0123 ", "accounts": "BE12 ", "labels": "ssn 12 ", "dotted": "a@a.", "tokens": "eyJa ",
    "bearers": "bearer ", "urls": "://a:", "unseen": "1\u200b", "wide": "４ ", "one token": "ady_" + "a" * 64,
    "models": "A1", "sums": "+1 ", "no users": "x@", "no hosts": "://a", "heads": "eyJa.", "brackets": "a[at]",
}  # fmt: skip
PIECES = [text_of(case) for table in (PERSONAL, PLAIN) for cases in table.values() for case in cases]


def walk(text):
    """The CPU seconds of each slice, and what they found."""
    end, is_cut, spans, seconds = 0, False, [], []
    while end < len(text):
        started = time.thread_time()
        found, end, is_cut = search_slice(text, end, is_cut=is_cut)
        seconds.append(time.thread_time() - started)
        spans += found
    return seconds, spans


@pytest.mark.parametrize("distance", [0, 1, 2, 5, 11, 17, 23])
def test_what_straddles_a_slices_edge_is_found(distance):
    """Cases of the table, so that the edge falls on its beginning, into it and behind it."""
    filler = (("x" * 40 + " ") * 40)[: SLICE_CHARACTERS - distance - 1] + "\n"
    for piece in PIECES[distance % 3 :: 3]:
        assert scrub(filler + piece) == filler + scrub(piece), piece


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=10, max_size=30), st.integers(50, 400))
def test_the_size_of_slices_changes_nothing(pieces, size):
    """The same spans in slices of any size as in one."""
    text = " | ".join(pieces)
    end, is_cut, spans = 0, False, []
    while end < len(text):
        found, end, is_cut = search_slice(text, end, is_cut=is_cut, size=size)
        spans += found
    assert masked_places(spans) == masked_places(search_slice(text, 0, size=len(text)).spans)


def masked_places(spans):
    return {place for start, end in spans for place in range(start, end)}


@pytest.mark.parametrize("secret", ["ady_" + "a1" * 5000, "Bearer a.b" + "c" * 9000, "eyJ" + "a" * 3000 + ".b" * 3000])
def test_a_secret_longer_than_a_slice_is_hidden_whole(secret):
    """It is followed through the slices to its end."""
    assert scrub(f"{'x ' * 900}{secret}, and more") == f"{'x ' * 900}***, and more"


@pytest.mark.parametrize("unit", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_no_slice_holds_the_interpreter_for_long(unit):
    """Of a mebibyte that is made to be slow; as many slices as there are edges, and the best of a few runs of each.

    Every slice of such a text is like the others but for its first character, so some are tried for all.
    """
    text = (unit * (MIB // len(unit)))[:MIB]
    for place in range(0, MIB - 2 * SLICE_CHARACTERS, MIB // 16):
        runs = []
        for _ in range(8):
            started = time.thread_time()
            found = search_slice(text, place)
            runs.append(time.thread_time() - started)
            if runs[-1] < MOST_SECONDS:
                break
        assert min(runs) < MOST_SECONDS
        # Another slice goes on where this one ends: none is asked for more than its size and what belongs to it.
        assert SLICE_CHARACTERS <= found.end - place <= 2 * SLICE_CHARACTERS


@pytest.mark.parametrize("unit", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_twice_the_text_takes_twice_the_time(unit):
    """No pattern costs the square of what somebody sends. One pair of runs in which the machine was quiet is enough."""

    def seconds(characters):
        return sum(walk((unit * (characters // len(unit) + 1))[:characters])[0])

    assert any(seconds(1 << 14) < MOST_GROWTH * seconds(1 << 13) for _ in range(12))
