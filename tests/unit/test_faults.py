"""Rows that make a model raise: found at the cost of one more computation of their batch, and of nobody else's."""

from __future__ import annotations

import asyncio
import threading
import traceback

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer

from inference import gathering
from inference.engines import TrainedEngine
from inference.faults import computed, located
from inference.gathering import Lane
from inference.outputs import ModelRaised, NotComputable, NotServable, Predictions
from inference.pool import Pool
from inference.rows.inputs import matrix_of
from inference.waiting import Hung, Turn
from tests.support.toy_engines import ToyEngine, doubled

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")]

AMOUNTS = np.random.default_rng(0).uniform(1, 100, size=(200, 1))
IS_LARGE = AMOUNTS[:, 0] > 50


def no_negatives(rows):
    if (np.asarray(rows) < 0).any():
        raise ArithmeticError(f"secret {rows}")
    return rows


FAILING = {
    "log1p, then NaN in a logistic regression": (FunctionTransformer(np.log1p), "ValueError"),
    "Box-Cox": (PowerTransformer("box-cox"), "ValueError"),
    "a function that raises": (FunctionTransformer(no_negatives), "ArithmeticError"),
}


class Counted:
    """A computation that counts its calls and their rows."""

    def __init__(self, compute=doubled):
        self._compute = compute
        self.sizes = []

    def compute(self, rows):
        self.sizes.append(len(rows))
        return self._compute(rows)


def rows_with(bad, count=100):
    return [{"x": -5.0 if index in bad else float(index + 1)} for index in range(count)]


def lane_of(compute, **terms):
    terms = {"gathers": True, "max_rows": 1_000, "patience_seconds": 10.0} | terms
    return Lane("a version", ToyEngine(compute), Pool(2), **terms)


async def raised_by(work):
    with pytest.raises(ModelRaised) as raised:
        await work
    assert "secret" not in "".join(traceback.format_exception(raised.value))
    return raised.value


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("bad", [{50}, {0}, {99}, {20, 70}], ids=str)
async def test_the_row_that_makes_a_model_raise_is_named(name, bad):
    """Wherever it stands among 100; of two the first; at most twice the rows are computed in all."""
    step, kind = FAILING[name]
    model = make_pipeline(step, LogisticRegression()).fit(AMOUNTS, IS_LARGE)
    engine = Counted(TrainedEngine(model, matrix_of(["x"]), ["False", "True"]).compute)
    raised = await raised_by(lane_of(engine.compute).ask(rows_with(bad)))
    assert (raised.row, raised.kind) == (min(bad), kind)
    assert sum(engine.sizes) <= 200
    assert len(engine.sizes) <= 2 + 7


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=130).filter(any))
def test_finding_the_row_costs_one_more_computation_of_the_batch(is_bad):
    """Whatever its size, and wherever the bad rows stand."""
    rows = [{"x": -1.0 if bad else 1.0} for bad in is_bad]
    engine = Counted()
    (failure,) = computed(engine.compute, [rows])
    if failure.row is None:
        failure = located(engine.compute, rows, failure)
    assert failure.row == is_bad.index(True)
    assert sum(engine.sizes) <= 2 * len(rows)


def only_the_whole(rows):
    if len(rows) == 100:
        raise MemoryError
    return doubled(rows)


def only_together(rows):
    if {4.0, 90.0} <= {row["x"] for row in rows}:
        raise ValueError
    return doubled(rows)


class Once:
    """Raises the first time alone."""

    def __init__(self):
        self.has_raised = False

    def __call__(self, rows):
        if not self.has_raised:
            self.has_raised = True
            raise KeyError
        return doubled(rows)


@pytest.mark.parametrize("compute", [only_the_whole, only_together, Once()], ids=["whole", "together", "once"])
async def test_where_no_row_fails_alone_none_is_named(compute):
    """The whole raises, its rows do not: no row is accused."""
    engine = Counted(compute)
    assert (await raised_by(lane_of(engine.compute).ask(rows_with(())))).row is None
    assert sum(engine.sizes) <= 200


def says_too_much(rows):
    answers = doubled([{"x": abs(row["x"])} for row in rows])
    return Predictions(answers.labels * 2, None) if any(row["x"] < 0 for row in rows) else answers


def no_form_in_json(rows):
    if any(row["x"] < 0 for row in rows):
        raise NotServable("it answers complex128, which has no form in JSON")
    return doubled(rows)


def leaves(rows):
    if any(row["x"] < 0 for row in rows):
        raise SystemExit(3)
    return doubled(rows)


@pytest.mark.parametrize(
    ("compute", "kind"), [(says_too_much, "NotServable"), (no_form_in_json, "NotServable"), (leaves, "SystemExit")]
)
async def test_another_answer_than_one_for_each_row_counts_as_raised(compute, kind):
    """And a model that would end its thread ends nothing."""
    lane = lane_of(compute)
    raised = await raised_by(lane.ask(rows_with({30})))
    assert (raised.row, raised.kind) == (30, kind)
    assert len((await lane.ask(rows_with(()))).labels) == 100


async def test_rows_beyond_the_models_numbers_are_no_failure_of_the_model():
    """`NotComputable` comes as it is, from the first computation."""

    def compute(_rows):
        raise NotComputable([3])

    engine = Counted(compute)
    with pytest.raises(NotComputable) as beyond:
        await lane_of(engine.compute).ask(rows_with(()))
    assert (beyond.value.rows, engine.sizes) == ([3], [100])


async def test_others_in_the_same_call_are_answered_before_the_row_is_searched(monkeypatch):
    """The search is a call of its own, held up here: nobody but the caller of the bad rows waits for it."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 30)
    may_start, may_search = threading.Event(), threading.Event()

    def compute(rows):
        may_start.wait(10)
        if len(rows) == 50:
            may_search.wait(10)
        return doubled(rows)

    engine = Counted(compute)
    lane = lane_of(engine.compute)
    first = lane.ask([{"x": 1.0}])
    good, bad, other = lane.ask(rows_with((), 3)), lane.ask(rows_with({60})), lane.ask(rows_with((), 4))
    may_start.set()
    assert [len(answer.labels) for answer in await asyncio.gather(first, good, other)] == [1, 3, 4]
    assert not bad.done()
    may_search.set()
    assert (await raised_by(bad)).row == 60
    # Together, by halves until the caller is alone, and once more in the search.
    assert sum(engine.sizes) <= 1 + 107 + 107 + 103 + 100 + 100


async def test_a_caller_who_gives_up_is_not_searched_for(monkeypatch):
    """What was not begun is not computed."""
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 30)
    may_go_on = threading.Event()

    def compute(rows):
        may_go_on.wait(10)
        return doubled(rows)

    engine = Counted(compute)
    lane = lane_of(engine.compute)
    bad = lane.ask(rows_with({1}))
    while not engine.sizes:
        await asyncio.sleep(0.001)
    bad.cancel()
    may_go_on.set()
    assert (await lane.ask([{"x": 2.0}])).labels == [4.0]
    assert engine.sizes == [100, 1]


async def test_a_call_that_failed_late_is_not_searched():
    """The answer would come after the deadline: the failure itself is told in time."""
    lane = lane_of(doubled, patience_seconds=0.0)
    turn = Turn(rows_with({1}))
    run = gathering._Run([turn], asyncio.get_running_loop().time() - 1.0)
    lane._finish(run, [ModelRaised(None, "ValueError")])
    assert (await raised_by(turn)).row is None


async def test_a_search_that_hangs_still_tells_that_the_model_raised():
    """Its rows were computed, and failed."""
    end = threading.Event()

    def compute(rows):
        if len(rows) < 100:
            end.wait(30)
        raise ValueError

    turn = lane_of(compute, patience_seconds=0.2).ask(rows_with(()))
    assert (await raised_by(turn)).kind == "ValueError"
    end.set()


async def test_rows_whose_computation_hangs_have_begun():
    """Its caller is told apart from one who waited: it was their rows."""
    end = threading.Event()

    def compute(rows):
        end.wait(30)
        return doubled(rows)

    turn = lane_of(compute, patience_seconds=0.1).ask(rows_with(()))
    with pytest.raises(Hung):
        await turn
    assert turn.has_begun
    end.set()


async def test_a_failure_on_the_event_loop_costs_one_call_there():
    """A single row is named at once; of several the pool finds which, so that the loop is not held for the search."""
    here, threads = threading.get_ident(), []

    def compute(rows):
        threads.append(threading.get_ident())
        return doubled(rows)

    engine = Counted(compute)
    lane = lane_of(engine.compute, inline_rows=100)
    for rows in (rows_with({0}, 1), rows_with({40})):
        engine.sizes.clear()
        threads.clear()
        raised = await raised_by(lane.ask(rows))
        assert rows[raised.row]["x"] < 0
        assert threads.count(here) == 1
        assert sum(engine.sizes) <= 2 * len(rows)
    assert (await lane.ask(rows_with((), 2))).labels == [2.0, 4.0]
