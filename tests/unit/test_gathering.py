"""Calls of one version, gathered: as alone, at once when idle, one bad row alone, what hangs taken out."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import gathering
from inference.gathering import Lane
from inference.outputs import ModelRaised, NotComputable, Predictions
from inference.pool import Pool
from inference.waiting import Hung, TakenOut
from tests.support.patience import SECONDS
from tests.support.toy_engines import ToyEngine

pytestmark = pytest.mark.anyio


class Compute:
    """Doubles each number; may be held, and remembers how many rows came at once."""

    def __init__(self):
        self.sizes = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, rows):
        self.sizes.append(len(rows))
        self.may_go_on.wait(SECONDS)
        if any(row["x"] < 0 for row in rows):
            raise ValueError(rows)
        return Predictions([2 * row["x"] for row in rows], [[row["x"]] for row in rows])


@pytest.fixture
def compute():
    return Compute()


def lane(compute, scored=None, **terms):
    terms = {"gathers": True, "max_rows": 100, "patience_seconds": 10.0} | terms
    return Lane("a version", ToyEngine(compute, scored), Pool(4), **terms)


async def started(work):
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    return task


async def until(is_so):
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_a_lone_caller_waits_for_nobody(compute):
    """A call starts at once when the version is idle, with these rows alone."""
    version = lane(compute)
    for number in range(3):
        assert await version.ask([{"x": number}]) == Predictions([2 * number], [[number]])
    assert compute.sizes == [1, 1, 1]


async def test_those_who_come_while_it_is_busy_are_computed_together_and_each_gets_their_own(compute, monkeypatch):
    """One call for all who waited, as far as the bound goes."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 10)
    version = lane(compute, max_rows=10)
    compute.may_go_on.clear()
    tasks = [await started(version.ask([{"x": n}, {"x": n + 0.5}])) for n in range(8)]
    compute.may_go_on.set()
    assert [(await task).labels for task in tasks] == [[2 * n, 2 * n + 1] for n in range(8)]
    assert compute.sizes == [2, 10, 4]


async def test_without_gathering_each_call_is_computed_alone(compute):
    """Two at once, and the others after them."""
    version = lane(compute, gathers=False)
    compute.may_go_on.clear()
    tasks = [await started(version.ask([{"x": n}])) for n in range(5)]
    await until(lambda: len(compute.sizes) == 2)
    await asyncio.sleep(0.05)
    assert compute.sizes == [1, 1]
    compute.may_go_on.set()
    assert [(await task).labels for task in tasks] == [[2 * n] for n in range(5)]
    assert compute.sizes == [1] * 5


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.integers(-2, 20), min_size=1, max_size=4), min_size=1, max_size=30))
def test_one_bad_row_fails_alone(callers):
    """Those whose rows are good get their answers, whoever else was in the call."""

    async def run():
        compute = Compute()
        version = lane(compute)
        tasks = [await started(version.ask([{"x": x} for x in rows])) for rows in callers]
        return await asyncio.gather(*tasks, return_exceptions=True)

    for rows, answer in zip(callers, asyncio.run(run()), strict=True):
        if min(rows) < 0:
            assert isinstance(answer, ModelRaised)
            assert (rows[answer.row] < 0, answer.kind) == (True, "ValueError")
        else:
            assert answer == Predictions([2 * x for x in rows], [[x] for x in rows])


async def test_a_caller_who_gives_up_frees_the_place(compute, monkeypatch):
    """Their rows are not computed, if they were not yet."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 10)
    version = lane(compute)
    compute.may_go_on.clear()
    first, second, third = [await started(version.ask([{"x": n}])) for n in range(3)]
    second.cancel()
    await asyncio.sleep(0)
    compute.may_go_on.set()
    assert ((await first).labels, (await third).labels) == ([0], [4])
    assert compute.sizes == [1, 1]


async def test_a_long_call_keeps_others_waiting_for_a_moment_only(compute, monkeypatch):
    """After it has run for a while another starts beside it."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 0.3)
    version = lane(compute)
    compute.may_go_on.clear()
    tasks = [version.ask([{"x": n}]) for n in range(4)]
    await until(lambda: len(compute.sizes) == 2)
    assert compute.sizes == [1, 3]
    compute.may_go_on.set()
    await asyncio.gather(*tasks)


async def test_a_version_whose_calls_hang_is_taken_out_and_comes_back(compute):
    """All its slots hang: their callers are told so, and those who waited are refused; it comes back when they end."""
    version = lane(compute, gathers=False, patience_seconds=0.25)
    compute.may_go_on.clear()
    tasks = [await started(version.ask([{"x": n}])) for n in range(6)]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Hung] * 2 + [TakenOut] * 4
    assert [task.has_begun for task in tasks] == [True] * 2 + [False] * 4
    assert version.is_out
    with pytest.raises(TakenOut):
        # At once: nothing is waited for.
        version.ask([{"x": 1}])
    compute.may_go_on.set()
    await until(lambda: not version.is_out)
    assert (await version.ask([{"x": 1}])).labels == [2]


async def test_calls_that_hang_one_after_another_take_a_version_out_for_a_while(compute, monkeypatch):
    """Even where each ends at last: three in a row are enough, and afterwards one is tried at a time."""
    monkeypatch.setattr(gathering, "OUT_SECONDS", 1.5)
    version = lane(compute, patience_seconds=0.25)
    for _ in range(3):
        compute.may_go_on.clear()
        with pytest.raises(Hung):
            await version.ask([{"x": 1}])
        compute.may_go_on.set()
        await until(lambda: not version._runs)
    with pytest.raises(TakenOut):
        await version.ask([{"x": 1}])
    await until(lambda: not version.is_out)
    assert (await version.ask([{"x": 1}])).labels == [2]


async def test_calls_that_take_long_keep_other_versions_waiting_for_a_moment_only(monkeypatch):
    """However patient their own callers are; and as many threads as there are in addition, not more."""
    monkeypatch.setattr(gathering, "LONG_SECONDS", 0.05)
    pool, held = Pool(2), Compute()
    held.may_go_on.clear()
    long = [Lane(f"v{n}", ToyEngine(held), pool, gathers=False, max_rows=1, patience_seconds=60) for n in range(3)]
    tasks = [await started(version.ask([{"x": 1}])) for version in long[:1] for _ in range(2)]
    other = Lane("other", ToyEngine(Compute()), pool, gathers=True, max_rows=1, patience_seconds=60)
    assert (await asyncio.wait_for(other.ask([{"x": 4}]), SECONDS)).labels == [8]
    tasks += [await started(version.ask([{"x": 1}])) for version in long[1:] for _ in range(2)]
    await until(lambda: pool._started == 4)
    await asyncio.sleep(0.2)
    assert pool._started == 4
    held.may_go_on.set()
    await asyncio.gather(*tasks)
    await until(lambda: (pool._replaced, pool._started) == (0, 2))


async def test_what_hangs_takes_no_thread_from_other_versions():
    """However many hang, the pool has as many threads for the others as before."""
    pool, held = Pool(2), Compute()
    held.may_go_on.clear()
    hanging = [Lane(f"v{n}", ToyEngine(held), pool, gathers=False, max_rows=1, patience_seconds=0.05) for n in range(3)]
    tasks = [await started(version.ask([{"x": 1}])) for version in hanging for _ in range(2)]
    await asyncio.gather(*tasks, return_exceptions=True)
    other = Lane("other", ToyEngine(Compute()), pool, gathers=True, max_rows=1, patience_seconds=SECONDS)
    for n in range(20):
        assert (await other.ask([{"x": n}])).labels == [2 * n]
    held.may_go_on.set()
    await until(lambda: (pool._replaced, pool._started) == (0, 2))


class Scored(Compute):
    """The same with a score for each row, which is no number past 100."""

    def __call__(self, rows):
        if any(row["x"] > 100 for row in rows):
            raise NotComputable([number for number, row in enumerate(rows) if row["x"] > 100])
        return super().__call__(rows)._replace(scores=[[-row["x"]] for row in rows])


async def test_callers_with_and_without_scores_share_a_call_and_nothing_else(compute, monkeypatch):
    """One turn of the pool: each side is computed once, and each caller gets their own rows, with scores if asked."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 30)
    scored = Scored()
    version = lane(compute, scored=scored)
    compute.may_go_on.clear()
    first = version.ask([{"x": 0}])
    await until(lambda: compute.sizes)
    turns = [version.ask([{"x": x}] * (1 + x % 3), scored=x % 2 == 0) for x in range(1, 9)]
    compute.may_go_on.set()
    for x, answer in enumerate(await asyncio.gather(*turns), 1):
        count = 1 + x % 3
        assert answer == Predictions([2 * x] * count, [[x]] * count, [[-x]] * count if x % 2 == 0 else None)
    assert (await first).scores is None
    assert (compute.sizes, scored.sizes) == ([1, 8], [9])


async def test_a_score_that_fails_touches_nobody_else(compute, monkeypatch):
    """Neither those without scores, nor others with; and the row at fault is searched among scores."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 30)
    scored = Scored()
    version = lane(compute, scored=scored)
    compute.may_go_on.clear()
    first = version.ask([{"x": 0}])
    await until(lambda: compute.sizes)
    plain = version.ask([{"x": 200}])
    beyond, raises, fine = (version.ask([{"x": 1}, {"x": x}], scored=True) for x in (200, -1, 2))
    compute.may_go_on.set()
    assert (await first).labels == [0]
    assert (await plain) == Predictions([400], [[200]])
    assert (await fine).scores == [[-1], [-2]]
    with pytest.raises(NotComputable) as refused:
        await beyond
    with pytest.raises(ModelRaised) as raised:
        await raises
    assert (refused.value.rows, raised.value.row) == ([1], 1)
    assert compute.sizes == [1, 1]
