"""The load kit's oracle: it accuses only where no honest server could have answered so."""

from __future__ import annotations

from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from locustfiles.agreement import Limit
from locustfiles.answers import Answer
from locustfiles.oracle import Cost, costs_of, is_impossible, is_possible, most_for_certain, needless_refusals

WINDOW = 10.0

instants = st.lists(st.integers(0, 40), min_size=1, max_size=5)
#: When a request was sent before its decision, and answered after it.
delays = st.tuples(st.integers(0, 8), st.integers(0, 8))
intervals = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=5).map(
    lambda pairs: [Cost(start, start + length, 1) for start, length in pairs]
)


def exists(costs, amount: int) -> bool:
    """Whether instants that keep the limit exist, found by trying every order."""
    for order in permutations(costs):
        decided: list[float] = []
        for place, each in enumerate(order):
            free = decided[place - amount] + WINDOW if place >= amount else 0.0
            decided.append(max(each.sent, free, decided[-1] if decided else 0.0))
        if all(at <= each.received for at, each in zip(decided, order, strict=True)):
            return True
    return False


@given(intervals, st.integers(1, 3))
def test_both_verdicts_are_proofs(costs, amount):
    """What is called impossible has no instants that keep the limit, and what is called possible has."""
    if is_impossible(costs, amount, WINDOW):
        assert not exists(costs, amount)
    if is_possible(costs, amount, WINDOW):
        assert exists(costs, amount)


@given(st.lists(delays, min_size=20, max_size=40), st.integers(1, 4))
def test_an_honest_server_is_never_accused(pairs, amount):
    """It decides as soon as its limit lets it, however long requests and answers take."""
    decided: list[float] = []
    costs = []
    for place, (before, after) in enumerate(pairs):
        free = decided[place - amount] + WINDOW if place >= amount else 0.0
        decided.append(max(free, decided[-1] if decided else 0.0))
        costs.append(Cost(decided[-1] - before, decided[-1] + after, 1))
    assert not is_impossible(costs, amount, WINDOW)


@given(intervals, st.integers(1, 3))
def test_clients_that_see_the_instants_leave_nothing_open(costs, amount):
    """With answers that take no time, one of the verdicts is always reached."""
    exact = [Cost(each.sent, each.sent, 1) for each in costs]
    assert is_impossible(exact, amount, WINDOW) is not is_possible(exact, amount, WINDOW)


def test_more_within_one_window_is_a_fault_and_what_may_lie_outside_is_not():
    """Three of two allowed, sent and answered within ten seconds; and the same, answered a second later."""
    within = [Cost(sent, sent + 0.5, 1) for sent in (0.0, 5.0, 9.0)]
    outside = [Cost(sent, sent + 1.5, 1) for sent in (0.0, 5.0, 9.0)]
    assert is_impossible(within, 2, WINDOW)
    assert not is_impossible(outside, 2, WINDOW)
    assert is_possible(outside, 2, WINDOW)
    assert most_for_certain(within, WINDOW) == 3


def test_a_chain_that_no_single_window_shows_is_a_fault():
    """Each two lie far enough apart, but the one in the middle cannot be far enough from both."""
    chain = [Cost(4, 5, 1), Cost(10, 15, 1), Cost(19, 20.5, 1)]
    assert all(is_possible(pair, 1, WINDOW) for pair in pairwise(chain))
    assert most_for_certain(chain, WINDOW) == 1
    assert is_impossible(chain, 1, WINDOW)


def answered(sent: float, status: int = 200, problem: str = "", rows: int = 1, key_id: str = "k") -> Answer:
    return Answer("predict", sent, sent + 0.1, status, key_id, "t", problem, f"r{sent}", rows)


def test_rows_are_counted_by_their_number_and_only_where_they_were_answered():
    """Another key's, a refusal and an answer without rows spend nothing of it."""
    answers = [
        answered(0, rows=50),
        answered(1, 429, "quota-exceeded", 50),
        answered(2, rows=0),
        answered(3, key_id="o"),
    ]
    assert costs_of(Limit("x", ["k"], "rows", 100, WINDOW), answers) == [Cost(0, 0.1, 50)]


def test_a_refusal_is_needless_where_the_window_cannot_have_been_full():
    """One of two, refused: needless. Not so where the second may still have counted."""
    limit = Limit("x", ["k"], "requests", 2, WINDOW)
    refused = answered(11.0, 429, "quota-exceeded")
    assert needless_refusals(limit, [answered(2.0), refused]) == [refused]
    assert needless_refusals(limit, [answered(2.0), answered(0.95), refused]) == []
    assert needless_refusals(limit, [answered(2.0), answered(0.0), refused]) == [refused]
