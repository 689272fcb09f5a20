"""One admission step that knows when to say no: bounded by what waits for the log, aware of deadlines, fair to tenants."""

import asyncio

import pytest

from audit.waiting import MAX_GROUP
from audit.writer import LogWriter
from db.database import Database
from inference.gathering import Lane
from inference.pool import Pool
from inference.waiting import Busy
from serving.load import Load, Overloaded
from values.pace import Pace

PATIENCE = 30.0


class Queue:
    """A log whose wait the test says."""

    seconds = 0.0

    def wait_seconds(self, now):
        assert now >= 0
        return self.seconds


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def load(queue):
    return Load(queue, PATIENCE)


def test_everybody_is_admitted_while_the_wait_is_short(load, queue):
    """However many have come from one tenant: limits are another matter."""
    queue.seconds = 5.9
    for _ in range(1_000):
        load.enter("big", 0.0)
    load.enter("small", 0.0)
    assert load.under_way == {"big": 1_000, "small": 1}


def test_what_could_not_be_answered_in_time_is_refused_at_once(load, queue):
    """Even a tenant's first; `Retry-After` follows the queue, and nothing is counted."""
    queue.seconds = 41.2
    with pytest.raises(Overloaded) as refused:
        load.enter("any", 0.0)
    assert refused.value.retry_after_seconds == 42
    assert not load.under_way


def test_under_overload_a_tenant_with_more_than_its_share_waits_first(load, queue):
    """The neighbour that has little under way is still admitted, until nobody can be answered in time."""
    for tenant, count in (("big", 100), ("small", 2), ("other", 3)):
        for _ in range(count):
            load.enter(tenant, 0.0)
    queue.seconds = 10.0
    with pytest.raises(Overloaded) as refused:
        load.enter("big", 0.0)
    assert refused.value.retry_after_seconds == 10
    load.enter("small", 0.0)
    load.enter("new", 0.0)


def test_a_tenant_alone_is_refused_only_for_the_deadline(load, queue):
    """It takes nothing from anybody."""
    load.enter("alone", 0.0)
    queue.seconds = 29.0
    load.enter("alone", 0.0)
    assert load.under_way == {"alone": 2}


def test_who_leaves_makes_room(load, queue):
    """Shares are of those under way now, and a tenant that has nothing under way is forgotten."""
    for _ in range(3):
        load.enter("big", 0.0)
    load.enter("small", 0.0)
    queue.seconds = 10.0
    with pytest.raises(Overloaded):
        load.enter("big", 0.0)
    load.leave("big")
    load.leave("big")
    load.enter("big", 0.0)
    load.leave("small")
    assert load.under_way == {"big": 2}


@pytest.mark.parametrize(("wait", "retry_after"), [(30.0, 30), (30.01, 31), (1e9, 60)])
def test_retry_after_is_whole_and_bounded(wait, retry_after):
    assert Overloaded(wait).retry_after_seconds == retry_after


def test_the_mean_follows_the_newest_turns():
    """A queue that has become slow is soon known as slow, and one that has recovered as quick."""
    pace = Pace()
    for _ in range(20):
        pace.took(2.0)
    assert pace.wait_seconds(3) == pytest.approx(6.0, rel=0.02)
    for _ in range(20):
        pace.took(0.001)
    assert pace.wait_seconds(3) < 0.1


def test_the_log_tells_its_wait(tmp_path):
    """By the groups that wait and how long groups take; a group that stands still counts for as long as it does."""
    log = LogWriter(Database(f"sqlite:///{tmp_path}/unused.db"))
    assert log.wait_seconds(100.0) == 0.0
    log._pace.turn_seconds = 2.0
    log._waiting._entries.extend([None] * (3 * MAX_GROUP))
    assert log.wait_seconds(100.0) == pytest.approx(6.0)
    log._begun = 90.0
    assert log.wait_seconds(100.0) == pytest.approx(10.0)
    log._waiting._entries.clear()
    assert log.wait_seconds(100.0) == pytest.approx(10.0)


@pytest.mark.anyio
async def test_rows_that_a_version_cannot_compute_in_time_are_refused_at_once():
    """Those before them are computed; calls of ten seconds, three ahead, are too many for thirty."""
    blocked = asyncio.Event()

    class Engine:
        may_hold_the_loop = False

        def compute(self, rows):
            raise AssertionError(rows)

        compute_scored = compute_at_once = compute

    class Idle(Pool):
        def submit(self, work):  # noqa: ARG002  nothing is worked off
            blocked.set()

    lane = Lane("slow", Engine(), Idle(), gathers=False, max_rows=10, patience_seconds=PATIENCE)
    lane._pace.turn_seconds = 10.0
    turns = [lane.ask([{}]) for _ in range(3)]
    assert blocked.is_set()
    with pytest.raises(Busy) as busy:
        turns.extend(lane.ask([{}]) for _ in range(3))
    assert busy.value.wait_seconds == pytest.approx(30.0)
    for turn in turns:
        turn.cancel()
