"""The order in which networks take turns, and who leaves a full queue."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.fair_queue import HALF_LIFE_SECONDS, LONGEST_EVERY, MAX_NETWORKS, FairQueue, RecentFailures


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def failures(clock):
    return RecentFailures(clock)


def queue_of(failures, per_network=100, in_all=1000):
    return FairQueue(failures, per_network=per_network, in_all=in_all)


def taken(queue, times=1000):
    """The networks in the order of their turns, until the queue is empty."""
    order = []
    while (next_one := queue.take()) and len(order) < times:
        order.append(next_one[0])
    return order


NETWORKS = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(st.just(("take", "")), st.tuples(st.sampled_from(["put", "put", "fail", "leave"]), NETWORKS))
)


@settings(deadline=None)
@given(STEPS)
def test_nobody_sees_two_turns_of_another_while_waiting_for_one(steps):
    """Whoever joins, fails or leaves in whatever order: each other network has one turn at most before one's own."""
    failures = RecentFailures(Clock())
    queue = queue_of(failures)
    waiting, seen = defaultdict(list), {}
    for number, (step, of) in enumerate(steps):
        if step == "put":
            queue.put(of, number)
            waiting[of].append(number)
            seen.setdefault(of, Counter())
        elif step == "fail":
            failures.note(of)
        elif step == "leave" and waiting[of]:
            queue.remove(of, waiting[of].pop())
        elif step == "take" and (next_one := queue.take()):
            network, item = next_one
            assert item == waiting[network].pop(0), "those of one network keep their order"
            seen[network] = Counter()
            for other in seen.keys() - {network}:
                seen[other][network] += 1
                assert seen[other][network] == 1, (other, network)
        seen = {network: turns for network, turns in seen.items() if waiting[network]}
        assert len(queue) == sum(map(len, waiting.values()))


def test_many_of_one_network_keep_another_waiting_for_one_turn(failures):
    """A hundred of one, then one of another: the other is first or second."""
    queue = queue_of(failures)
    for number in range(100):
        queue.put("flood", number)
    queue.put("one", 0)
    assert "one" in taken(queue)[:2]


def test_a_network_that_failed_often_waits_last(failures):
    """Though it came first; those that did not fail go in the order in which they came."""
    queue = queue_of(failures)
    for _ in range(10):
        failures.note("failing")
    for network in ("failing", "b", "a"):
        queue.put(network, 0)
    assert taken(queue) == ["b", "a", "failing"]


def test_a_network_that_failed_often_is_never_shut_out(failures):
    """Fresh networks without end get three turns of four before it."""
    queue = queue_of(failures)
    failures.note("failing")
    queue.put("failing", 0)
    order = []
    for number in range(LONGEST_EVERY):
        queue.put(f"fresh {number}", 0)
        order.append(queue.take()[0])
    assert "failing" in order


def test_one_network_fills_its_own_room_alone(failures):
    """It has so many places; the next of it does not get in, and others do."""
    queue = queue_of(failures, per_network=2)
    assert [queue.put("flood", number) for number in range(3)] == [None, None, 2]
    assert queue.put("one", 9) is None


def test_a_full_queue_drops_the_newest_of_the_network_that_has_most(failures):
    """A network that has fewer gets in; one that has as many does not."""
    queue = queue_of(failures, in_all=5)
    for network, item in (("few", 1), ("few", 2), ("most", 1), ("most", 2), ("most", 3)):
        assert queue.put(network, item) is None
    assert queue.put("most", 4) == 4
    assert queue.put("new", 1) == 3
    assert queue.put("new", 2) == 2, "two of everybody by now"
    assert len(queue) == 5


def test_among_equals_the_network_that_failed_most_leaves_a_full_queue(failures):
    """One each: who fails makes room for who did not, and not the other way round."""
    queue = queue_of(failures, in_all=3)
    for network, times in (("worst", 3), ("bad", 2)):
        for _ in range(times):
            failures.note(network)
    for network in ("bad", "worst", "good"):
        queue.put(network, network)
    assert queue.put("newcomer", "newcomer") == "worst"
    for _ in range(5):
        failures.note("late")
    assert queue.put("late", "late") == "late"


def test_failures_count_half_after_a_minute(failures, clock):
    """A network is not blamed for hours."""
    for _ in range(8):
        failures.note("a")
    assert failures.of("a") == 8
    clock.now = HALF_LIFE_SECONDS
    assert failures.of("a") == 4
    clock.now = 20 * HALF_LIFE_SECONDS
    assert failures.of("a") == 0


def test_failures_of_so_many_networks_are_remembered(failures):
    """Those that failed last."""
    for number in range(MAX_NETWORKS + 1):
        failures.note(str(number))
        failures.note("again")
    assert (failures.of("0"), failures.of("1"), failures.of(str(MAX_NETWORKS))) == (0, 0, 1)
    assert failures.of("again") == MAX_NETWORKS + 1
