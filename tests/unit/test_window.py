"""The window against an oracle that remembers every instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotas.store import Trailing
from quotas.window import NS, SUB_WINDOWS, Window

MINUTE = 60
STEPS = st.lists(st.tuples(st.integers(0, 20 * NS), st.integers(1, 40)), max_size=200)


def admitted(steps, quota):
    """Spends whenever it fits; returns the instants and costs that were let through, and the window."""
    window, now, log = Window(Trailing(MINUTE)), 0, []
    for wait, cost in steps:
        now += wait
        if window.spent(now) + cost <= quota:
            window.spend(cost, now)
            log.append((now, cost))
    return log, window, now


@given(STEPS, st.integers(40, 120))
def test_no_trailing_window_ever_holds_more_than_the_quota(steps, quota):
    """Whatever the burst and wherever the window is put, both ends counted."""
    log, _, _ = admitted(steps, quota)
    for end, _ in log:
        assert sum(cost for at, cost in log if end - MINUTE * NS <= at <= end) <= quota


@given(STEPS, st.integers(40, 120), st.integers(1, 40))
def test_what_is_refused_fits_after_the_time_that_was_promised(steps, quota, cost):
    """`free_again` is enough, and one nanosecond less is not."""
    _, window, now = admitted(steps, quota)
    over = window.spent(now) + cost - quota
    wait = window.free_again(over, now)
    if over <= 0:
        assert wait == 0
        return
    assert 0 < wait <= MINUTE * NS + 1
    assert window.spent(now + wait - 1) + cost > quota
    assert window.spent(now + wait) + cost <= quota


@given(STEPS)
def test_what_expires_is_free_at_most_a_sub_window_late(steps):
    """A steady caller is not held under its limit by more than one sixty-fourth of the window."""
    log, window, now = admitted(steps, 10**9)
    expired = now - MINUTE * NS - MINUTE * NS // SUB_WINDOWS
    assert window.spent(now) <= sum(cost for at, cost in log if at >= expired)


@given(STEPS, st.data())
def test_what_is_given_back_was_never_spent(steps, data):
    """Giving back leaves what the others spent."""
    log, window, now = admitted(steps, 10**9)
    before = window.spent(now)
    recent = [(at, cost) for at, cost in log if at >= now - MINUTE * NS]
    if recent:
        at, cost = data.draw(st.sampled_from(recent))
        window.give_back(cost, at)
        assert window.spent(now) == before - cost


@pytest.mark.parametrize("rate", [1, 7, 100])
def test_steady_overload_is_admitted_at_the_limit(rate):
    """A caller that always asks gets its whole quota in each window, but for a sixty-fourth."""
    log, _, _ = admitted([(NS // 50, 1)] * 50 * MINUTE * 4, rate * MINUTE)
    in_the_end = sum(cost for at, cost in log if at > 3 * MINUTE * NS)
    assert in_the_end >= rate * MINUTE * (1 - 2 / SUB_WINDOWS) if rate < 50 else in_the_end == 50 * MINUTE
