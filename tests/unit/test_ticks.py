"""Calls on the event loop: one for all that arrived in one of its iterations, and nobody notices the others in it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.costs import INLINE_SECONDS, inline_rows
from inference.gathering import Lane
from inference.graphs import BeyondGraph
from inference.outputs import ModelRaised, NotComputable, Predictions
from inference.pool import Pool
from inference.rows.schema import RowSchema
from inference.waiting import TakenOut, Turn, Vanished
from tests.support.patience import SECONDS
from tests.support.toy_engines import ToyEngine

pytestmark = pytest.mark.anyio

HERE = threading.get_ident()


class Compute:
    """Doubles each number, and remembers each call's rows, and whether the loop's thread computed it.

    Raises for numbers under 0; refuses 1,000 as beyond its numbers, and on the loop 2,000 as beyond the graph.
    """

    def __init__(self):
        self.here, self.elsewhere = [], []

    def __call__(self, rows):
        numbers = [row["x"] for row in rows]
        is_here = threading.get_ident() == HERE
        (self.here if is_here else self.elsewhere).append(numbers)
        if beyond := [place for place, number in enumerate(numbers) if number == 1000]:
            raise NotComputable(beyond)
        if is_here and (beyond := [place for place, number in enumerate(numbers) if number == 2000]):
            raise BeyondGraph(beyond)
        if min(numbers) < 0:
            raise ValueError(numbers)
        return Predictions([2 * number for number in numbers], None)


@pytest.fixture
def compute():
    return Compute()


def lane(compute, **terms):
    terms = {"gathers": True, "max_rows": 1000, "patience_seconds": SECONDS, "inline_rows": 100} | terms
    return Lane("a version", ToyEngine(compute), Pool(2), **terms)


def rows(*numbers):
    return [{"x": number} for number in numbers]


async def test_calls_of_one_iteration_are_one_call(compute):
    """On the loop's own thread; each caller gets their own rows' predictions."""
    version = lane(compute)
    turns = [version.ask(rows(n, n + 0.5)) for n in range(10)]
    assert [answer.labels for answer in await asyncio.gather(*turns)] == [[2 * n, 2 * n + 1] for n in range(10)]
    assert [len(call) for call in compute.here] == [20]
    assert compute.elsewhere == []


async def test_a_lone_caller_is_answered_within_the_next_iteration(compute):
    """No timer and no thread: the loop comes round once to compute and once to wake the caller."""
    version = lane(compute)
    for number in range(3):
        turn = version.ask(rows(number))
        await asyncio.sleep(0)
        assert turn.done()
    assert compute.here == [[0], [1], [2]]


async def test_one_call_takes_no_more_than_was_measured(compute):
    """The rest comes in the loop's next iterations, between which everything else has its turn."""
    version = lane(compute, inline_rows=10)
    between = []
    turns = [version.ask(rows(*range(4))) for _ in range(6)]
    asyncio.get_running_loop().call_soon(lambda: between.append(len(compute.here)))
    await asyncio.gather(*turns)
    assert [len(call) for call in compute.here] == [8, 8, 8]
    assert between == [1]
    await version.ask(rows(*range(11)))
    assert [len(call) for call in compute.elsewhere] == [11]


async def test_what_looks_around_is_computed_alone_here_as_well(compute):
    """A version that does not gather computes each caller's rows in a call of their own."""
    version = lane(compute, gathers=False)
    turns = [version.ask(rows(n, n)) for n in range(4)]
    await asyncio.gather(*turns)
    assert compute.here == [[n, n] for n in range(4)]


@pytest.mark.parametrize("inline", [10, 0], ids=["loop", "pool"])
async def test_fifty_tenants_are_not_behind_one_tenants_many_batches(compute, inline):
    """Owners take turns: beside a hundred batches that came first, all single rows are in the first few calls."""
    may_go_on = threading.Event()

    def held(given):
        if not inline:
            may_go_on.wait(SECONDS)
        return compute(given)

    version = lane(held, inline_rows=inline, max_rows=60)
    size = 10 if inline else 60
    batches = [version.ask(rows(*[1.0] * size), "noisy") for _ in range(100)]
    singles = [version.ask(rows(2.0 + n), f"tenant {n}") for n in range(50)]
    may_go_on.set()
    await asyncio.gather(*singles)
    calls = compute.here or compute.elsewhere
    assert sum(1.0 in call for call in calls) <= (7 if inline else 5)
    await asyncio.gather(*batches)
    assert sum(map(len, calls)) == 100 * size + 50


async def test_rows_that_are_refused_by_name_are_their_callers_alone(compute):
    """Beyond the model's numbers: refused at once. Beyond the graph: the trained model's. The others: one more call."""
    version = lane(compute)
    turns = [version.ask(rows(*numbers)) for numbers in ([1, 2], [3, 1000], [4], [1000])]
    answers = await asyncio.gather(*turns, return_exceptions=True)
    assert [getattr(answer, "labels", None) or answer.rows for answer in answers] == [[2, 4], [1], [8], [0]]
    assert compute.here == [[1, 2, 3, 1000, 4, 1000], [1, 2, 4]]
    beyond, other = version.ask(rows(5, 2000)), version.ask(rows(6))
    assert ((await other).labels, (await beyond).labels) == ([12], [10, 4000])
    assert (compute.here[2:], compute.elsewhere) == ([[5, 2000, 6], [6]], [[5, 2000]])


async def test_a_tie_is_its_callers_alone(compute):
    """Whose rows go to the pool, all of them; the others have their answers already."""
    version = lane(compute)
    tied, other = version.ask([{"x": 1}, {"x": 2, "left": True}]), version.ask(rows(3))
    await asyncio.sleep(0)
    assert (other.result().labels, tied.done()) == ([6], False)
    assert (await tied).labels == [2, 4]
    assert (compute.here, compute.elsewhere) == ([[1, 2, 3]], [[1, 2]])


async def test_a_row_that_raises_is_not_searched_on_the_loop(compute):
    """The loop makes one call; the pool takes it apart, and names the row."""
    version = lane(compute)
    turns = [version.ask(rows(*numbers)) for numbers in ([1], [2, -1, 3], [4])]
    good, bad, other = await asyncio.gather(*turns, return_exceptions=True)
    assert (good.labels, other.labels) == ([2], [8])
    assert isinstance(bad, ModelRaised)
    assert (bad.row, bad.kind) == (1, "ValueError")
    assert len(compute.here) == 1


async def test_a_caller_who_gave_up_is_not_computed(compute):
    """By a deadline, or otherwise: it has not begun, and the others go on."""
    version = lane(compute)
    turns = [version.ask(rows(n)) for n in range(3)]
    turns[1].cancel()
    assert (await turns[0]).labels == [0]
    assert (await turns[2]).labels == [4]
    assert (compute.here, turns[1].has_begun) == ([[0, 2]], False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(-1):
            await version.ask(rows(7))
    assert (await version.ask(rows(8))).labels == [16]
    assert compute.here == [[0, 2], [8]]


async def test_a_caller_is_listened_to_only_off_the_loop(compute):
    """A turn in the pool ends when its caller hangs up; one on the loop would be over before."""
    heard, gone, may_go_on = [], asyncio.Event(), threading.Event()

    async def hung_up():
        heard.append(True)
        await gone.wait()

    def held(given):
        if threading.get_ident() != HERE:
            may_go_on.wait(SECONDS)
        return compute(given)

    version = lane(held)
    assert (await version.ask(rows(1), hung_up=hung_up)).labels == [2]
    assert heard == []
    tied = version.ask([{"x": 1, "left": True}], hung_up=hung_up)
    while not heard:
        await asyncio.sleep(0)
    gone.set()
    with pytest.raises(Vanished):
        await tied
    may_go_on.set()


def outcome(numbers):
    """What one caller's rows deserve, whoever is beside them."""
    if 1000 in numbers:
        return [place for place, number in enumerate(numbers) if number == 1000]
    if min(numbers) < 0:
        return next(place for place, number in enumerate(numbers) if number < 0)
    return [2 * number for number in numbers]


CALLERS = st.tuples(
    st.lists(st.sampled_from([1, 2, 3, 4, 5, -1, 1000, 2000]), min_size=1, max_size=4),
    st.sampled_from(["stays", "gives up"]),
    st.sampled_from("abc"),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(CALLERS, min_size=1, max_size=24), st.integers(1, 40))
def test_whoever_is_in_a_call_gets_what_they_would_get_alone(callers, inline):
    """Bad rows, rows beyond the graph, callers who give up: in every mix and every size of call."""
    global HERE  # noqa: PLW0603  anyio and asyncio.run are in the same thread; this says so
    HERE = threading.get_ident()

    async def run():
        version = lane(Compute(), inline_rows=inline)
        turns = [version.ask(rows(*numbers), owner) for numbers, _, owner in callers]
        for turn, (_, stays, _) in zip(turns, callers, strict=True):
            if stays == "gives up":
                turn.cancel()
        return await asyncio.gather(*turns, return_exceptions=True)

    for (numbers, stays, _), answer in zip(callers, asyncio.run(run()), strict=True):
        if stays == "gives up":
            assert isinstance(answer, asyncio.CancelledError)
        elif isinstance(answer, Predictions):
            assert answer.labels == outcome(numbers)
        else:
            found = answer.rows if isinstance(answer, NotComputable) else answer.row
            assert found == outcome(numbers)


class Costs(ToyEngine):
    """Works for so long for each call, each row, and each character of a text."""

    def __init__(self, call, row=0.0, character=0.0):
        super().__init__(self._compute)
        self._seconds = (call, row, character)

    def _compute(self, given):
        call, row, character = self._seconds
        end = time.perf_counter() + call + sum(row + character * len(each.get("t", "")) for each in given)
        while time.perf_counter() < end:
            pass
        return Predictions([1] * len(given), None)


NUMBER = RowSchema({"properties": {"x": {"type": "number"}}}, 1000)
TEXT = RowSchema({"properties": {"t": {"type": "string"}}}, 1000)


@pytest.mark.parametrize(
    ("engine", "schema", "least", "most"),
    [
        (Costs(INLINE_SECONDS / 4, INLINE_SECONDS / 40), NUMBER, 10, 31),
        (Costs(INLINE_SECONDS * 2), NUMBER, 0, 0),
        (Costs(0, 0, INLINE_SECONDS / 5000), TEXT, 0, 0),
        (Costs(0, 0, INLINE_SECONDS / 100_000), TEXT, 3, 10),
    ],
    ids=["by the row", "too long", "too long for a long text", "by the text"],
)
def test_the_loop_computes_as_many_rows_as_fit_into_its_time(engine, schema, least, most):
    """As measured with a row of the longest texts that the schema allows; a model that raises is not computed there."""
    assert least <= inline_rows(engine, schema) <= most

    def raises(_rows):
        raise ValueError

    assert inline_rows(ToyEngine(raises), schema) == 0


async def test_a_turn_that_is_refused_says_how_its_rows_failed():
    """If they were computed; otherwise that its version is taken out."""
    computed, waiting = Turn(rows(1)), Turn(rows(1))
    computed.raised = ModelRaised(None, "ValueError")
    for turn, fact in ((computed, ModelRaised), (waiting, TakenOut)):
        turn.refuse()
        with pytest.raises(fact):
            await turn
