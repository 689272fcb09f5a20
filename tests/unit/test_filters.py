"""The forms of filters: what is taken, as what, and that nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audit.filters import InvalidFilter, read_filters
from audit.search import cursor_of, position_of
from auth.api_keys import mint
from serving.problems import PROBLEMS
from tests.support.log import FILTERS
from values.ids import uuid7

TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJrZXk6YWJjIn0.c2lnbmF0dXJl"
WORDS = [mint(), "4111 1111 1111 1111", "somebody@example.com", TOKEN, "", " iris", "iris\n", "\u0664", "a" * 64, "1e5",
         "nan", "-1", "+5", "0x1", "refused:", "refused:nonsense", "refused:4111111111111111", "answered ", "ANSWERED",
         "2026-13-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00 01:00", "0000-01-01", "20260101", "1.0000",
         "1234567890", "100000d", "2 h", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00", "yesterday",
         "F" * 64, "kkkkkkkkkkk-", "99", "600", "0200"]  # fmt: skip


#: The few of them that have the form of some filter.
NAMES = {"1e5", "nan", "0x1", "2026-13-01", "0000-01-01", "20260101", "1.0000", "1234567890", "100000d", "yesterday",
         "kkkkkkkkkkk-", "99", "600", "0200"}  # fmt: skip
TAKEN = {"tenant": NAMES, "model": NAMES, "version": NAMES, "fingerprint": {"a" * 64},
         "min_latency_ms": {"20260101", "99", "600", "0200"}}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_a_word_of_another_form_is_refused_and_not_repeated(name):
    """Keys, card numbers, addresses and tokens among them."""
    rules = set()
    for word in set(WORDS) - TAKEN.get(name, set()):
        with pytest.raises(InvalidFilter) as refusal:
            read_filters({name: word}, PROBLEMS)
        rules.add((refusal.value.name, refusal.value.rule))
    assert len(rules) == 1, "the rule tells something of the word"
    for word in TAKEN.get(name, ()):
        read_filters({name: word}, PROBLEMS)


def test_each_filter_is_read_as_what_it_says():
    """Names, ids, enumerated words and numbers."""
    request_id = uuid7()
    wanted = read_filters(
        {"tenant": "acme", "key": "k" * 12, "model": "iris.v-1_x", "version": "1", "outcome": "refused:quota-exceeded",
         "status": "429", "request_id": request_id, "fingerprint": "0f" * 32, "min_latency_ms": "12.5", "limit": "7"},
        PROBLEMS,
    )  # fmt: skip
    assert (wanted.tenant, wanted.key, wanted.model, wanted.version) == ("acme", "k" * 12, "iris.v-1_x", "1")
    assert (wanted.outcome, wanted.status, wanted.request_id) == ("refused:quota-exceeded", 429, request_id)
    assert (wanted.fingerprint, wanted.min_latency_us) == ("0f" * 32, 12_500)
    assert read_filters({"outcome": "refused"}, PROBLEMS).outcome == "refused:"
    assert read_filters({}, PROBLEMS).to_keep() == {}


@pytest.mark.parametrize(("word", "instant"), [
    ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
    ("2026-03-01T10:15:00Z", datetime(2026, 3, 1, 10, 15, tzinfo=UTC)),
    ("2026-03-01t10:15:00.123456789z", datetime(2026, 3, 1, 10, 15, 0, 123456, tzinfo=UTC)),
    ("2026-03-01 10:15:00+02:00", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
])  # fmt: skip
def test_an_instant_is_written_as_rfc_3339_or_a_date(word, instant):
    """A date is its first instant in UTC."""
    wanted = read_filters({"from": word, "to": word}, PROBLEMS)
    assert wanted.from_at == wanted.to_at == instant


@pytest.mark.parametrize(
    ("word", "age"), [("2h", timedelta(hours=2)), ("90d", timedelta(days=90)), ("0s", timedelta(0))]
)
def test_an_age_is_the_instant_so_long_before_now(word, age):
    """In seconds, minutes, hours, days or weeks."""
    before = datetime.now(UTC)
    found = read_filters({"from": word}, PROBLEMS).from_at
    assert before - age <= found <= datetime.now(UTC) - age


def test_an_event_keeps_no_word_that_a_caller_made_up():
    """Of names and ids it keeps nothing by itself, and of a fingerprint that there was one."""
    words = {"tenant": "4111111111111111", "model": "4111111111111111", "version": "4111111111111111",
             "key": "411111111111", "request_id": "41111111-1111-7111-8111-111111111111", "fingerprint": "41" * 32,
             "outcome": "refused", "status": "422", "from": "2026-03-01", "min_latency_ms": "5"}  # fmt: skip
    kept = read_filters(words, PROBLEMS).to_keep()
    assert kept == {"fingerprint": True, "outcome": "refused", "status": 422, "from": "2026-03-01T00:00:00.000Z",
                    "min_latency_ms": 5.0}  # fmt: skip


def test_a_cursor_has_one_spelling_and_is_a_place_in_the_log():
    """Whatever else is sent as one is refused."""
    place = (datetime(2026, 3, 1, 10, 15, 0, 123000, tzinfo=UTC), uuid7())
    cursor = cursor_of(place)
    assert position_of(cursor) == place
    for other in (cursor + "=", cursor[:-1], "x", "", "\u00e9", cursor_of((place[0], "4111111111111111")), cursor * 3,
                  cursor_of((place[0].replace(tzinfo=None), place[1])), TOKEN):  # fmt: skip
        with pytest.raises(InvalidFilter):
            position_of(other)
