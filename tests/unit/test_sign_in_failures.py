"""Failures to sign in, counted in memory: what counts, who waits, and what other processes are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from auth.sign_in_failures import FAILURES_LAST, Counter, SignInFailures, Tally, TooManyFailedSignIns

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNTERS = [Counter("here", 5, 300), Counter("anywhere", 50, 30)]


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def fail(failures, times=1, *, at=NOW, counters=COUNTERS, is_known=True):
    for _ in range(times):
        failures.fail(failures.admit(counters, at), at, is_known=is_known)


def wait_of(failures, at=NOW, counters=COUNTERS):
    """How many seconds an attempt would have to wait; it is not made."""
    try:
        failures.withdraw(failures.admit(counters, at))
    except TooManyFailedSignIns as refused:
        return refused.retry_after_seconds
    return 0


def write(failures):
    """What would be written; says that it was, to an empty table."""
    stale, added = failures.take_unwritten()
    failures.written(added, {place: tally.failures for place, tally in added.items()})
    return stale, {place: tally.failures for place, tally in added.items()}


@pytest.fixture
def failures():
    return SignInFailures()


@pytest.mark.parametrize("is_known", [True, False])
def test_five_are_free_and_each_more_doubles_the_wait(failures, is_known):
    """Up to five minutes, alike for names that exist and names that do not."""
    at, waits = NOW, []
    fail(failures, 5, is_known=is_known)
    for _ in range(11):
        waits.append(wait_of(failures, at))
        at += timedelta(seconds=waits[-1])
        fail(failures, at=at, is_known=is_known)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_from_elsewhere_fifty_are_free(failures):
    """Then it is half a minute at most."""
    for number in range(60):
        fail(failures, counters=[Counter(str(number), 5, 300), Counter("anywhere", 100, 30)])
    assert wait_of(failures, counters=[Counter("new", 5, 300), Counter("anywhere", 50, 30)]) == 30


def test_an_attempt_counts_from_its_admission(failures):
    """Of many at once five are admitted; once none of them was compared, none of them counts."""
    admitted = [failures.admit(COUNTERS, NOW) for _ in range(5)]
    assert wait_of(failures) == 1
    for attempt in admitted:
        failures.check(attempt, NOW)
        failures.withdraw(attempt)
    assert wait_of(failures) == 0
    assert not failures.has_unwritten()


def test_what_is_withdrawn_makes_nobody_wait_longer(failures):
    """The wait goes on from the last failure, as if the attempt had not been made."""
    fail(failures, 5)
    fail(failures, at=later(1))
    failures.withdraw(failures.admit(COUNTERS, later(3)))
    assert wait_of(failures, later(2)) == 1
    assert wait_of(failures, later(3)) == 0


def test_the_wait_begins_when_the_attempt_failed(failures):
    """However long it had waited for its turn."""
    attempts = [failures.admit(COUNTERS, NOW) for _ in range(5)]
    for attempt in attempts:
        failures.fail(attempt, later(60), is_known=True)
    assert wait_of(failures, later(60)) == 1


def test_success_forgets(failures):
    """The next failure is the first; what was about to be written is not."""
    fail(failures, 4)
    failures.forget(failures.admit(COUNTERS, NOW))
    fail(failures, 4, is_known=False)
    assert wait_of(failures) == 0
    assert not failures.has_unwritten()


def test_names_that_do_not_exist_are_not_written(failures):
    """Those that exist are, once."""
    fail(failures, 3, is_known=False)
    assert not failures.has_unwritten()
    fail(failures, 2, counters=[Counter("known", 5, 300)])
    assert write(failures) == (set(), {"known": 2})
    assert not failures.has_unwritten()
    fail(failures, 1, counters=[Counter("known", 5, 300)])
    assert write(failures)[1] == {"known": 1}


def test_what_was_not_written_is_taken_again(failures):
    """With what came since."""
    fail(failures, 2)
    stale, _ = failures.take_unwritten()
    fail(failures)
    failures.not_written(stale)
    assert write(failures)[1] == {"here": 3, "anywhere": 3}


def test_others_failures_are_learned_with_ones_own(failures):
    """What the database has, and what it has not been told yet."""
    fail(failures, 2)
    attempt = failures.admit(COUNTERS, NOW)
    failures.learn(attempt, {"here": Tally(3, later(-1))}, failures.moment())
    with pytest.raises(TooManyFailedSignIns):
        failures.check(attempt, NOW)


def test_that_somebody_signed_in_elsewhere_is_learned(failures):
    """The row is gone: what this process wrote is forgotten, and what it has not written counts."""
    fail(failures, 5)
    write(failures)
    fail(failures, at=later(10))
    attempt = failures.admit(COUNTERS, later(20))
    failures.learn(attempt, {}, failures.moment())
    failures.fail(attempt, later(20), is_known=True)
    fail(failures, 3, at=later(20))
    assert wait_of(failures, later(20)) == 1
    assert write(failures)[1]["here"] == 5


def test_an_answer_from_before_a_change_is_not_believed(failures):
    """The database was read, then written or forgotten: the answer is of a state that has passed."""
    fail(failures, 5)
    attempt, moment = failures.admit(COUNTERS, later(2)), failures.moment()
    write(failures)
    failures.learn(attempt, {}, moment)
    assert wait_of(failures, later(2)) == 2, "the five and the one under way"
    failures.forget(attempt)
    other = failures.admit(COUNTERS, later(2))
    failures.learn(other, {"here": Tally(5, NOW)}, moment)
    failures.withdraw(other)
    fail(failures, 4, at=later(2))
    assert wait_of(failures, later(2)) == 0


def test_who_signs_in_while_their_failures_are_being_written_starts_over(failures):
    """What was written of them is deleted by the next writing, before anything is added."""
    fail(failures, 3)
    attempt = failures.admit(COUNTERS, NOW)
    _, added = failures.take_unwritten()
    failures.forget(attempt)
    fail(failures)
    failures.written(added, {"here": 3, "anywhere": 3})
    other = failures.admit(COUNTERS, NOW)
    failures.learn(other, {"here": Tally(3, NOW)}, failures.moment())
    failures.withdraw(other)
    assert write(failures) == ({"here", "anywhere"}, {"here": 1, "anywhere": 1})


def test_failures_of_yesterday_do_not_count(failures):
    """A day after the last one, it starts over."""
    fail(failures, 4)
    attempt = failures.admit(COUNTERS, NOW + FAILURES_LAST - timedelta(seconds=1))
    assert wait_of(failures, attempt.at) == 1
    failures.withdraw(attempt)
    fail(failures, 4, at=NOW + FAILURES_LAST)
    assert wait_of(failures, NOW + FAILURES_LAST) == 0
    assert write(failures)[1] == {"here": 4, "anywhere": 4}


def test_so_many_places_are_remembered():
    """The last to fail; whoever fills the memory with made-up names has it forget the oldest."""
    failures = SignInFailures(max_counters=10)
    fail(failures, 5, counters=[Counter("first", 5, 300)])
    for number in range(9):
        fail(failures, counters=[Counter(str(number), 5, 300)], is_known=False)
    assert wait_of(failures, counters=[Counter("first", 5, 300)]) == 1
    fail(failures, counters=[Counter("one more", 5, 300)], is_known=False)
    assert wait_of(failures, counters=[Counter("first", 5, 300)]) == 0
    assert not failures.has_unwritten()
