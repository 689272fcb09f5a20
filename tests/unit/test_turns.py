"""Turns: how many at once, for whom, and who is next."""

from __future__ import annotations

import asyncio

import pytest

from values.turns import Turns

pytestmark = pytest.mark.anyio


class Callers:
    """Callers who take turns as tasks, and the order in which they got them."""

    def __init__(self, turns) -> None:
        self.turns = turns
        self.order = []
        self.tasks = []

    async def come(self, *names):
        for name in names:
            self.tasks.append(asyncio.ensure_future(self._take(name)))
            await asyncio.sleep(0)

    async def _take(self, name):
        await self.turns.take(name)
        self.order.append(name)

    async def leave(self, name):
        self.turns.give_back(name)
        await settle()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_caller_has_no_more_than_its_share_and_leaves_room_for_others():
    """However many it asks for."""
    callers = Callers(Turns(4, 2))
    await callers.come(*["noisy"] * 60, "a", "b")
    assert callers.order == ["noisy", "noisy", "a", "b"]
    for task in callers.tasks:
        task.cancel()


async def test_those_who_wait_are_served_one_caller_after_the_other():
    """A caller that waits once gets its turn before the second one of a caller that waits often."""
    callers = Callers(Turns(1, 1))
    await callers.come("first", *["noisy"] * 3, "quiet", "silent")
    for name in ("first", "noisy", "quiet", "silent", "noisy"):
        assert callers.order[-1] == name
        await callers.leave(name)
    assert callers.order == ["first", "noisy", "quiet", "silent", "noisy", "noisy"]
    await callers.leave("noisy")


@pytest.mark.parametrize("is_handed_over", [False, True])
async def test_a_caller_that_gives_up_takes_no_turn_with_it(is_handed_over):
    """Neither while it waits, nor in the moment in which its turn comes."""
    callers = Callers(Turns(1, 1))
    await callers.come("first", "gone", "next")
    if is_handed_over:
        callers.turns.give_back("first")
        callers.tasks[1].cancel()
    else:
        callers.tasks[1].cancel()
        callers.turns.give_back("first")
    await settle()
    assert callers.order == ["first", "next"]
    await callers.leave("next")
    await callers.come("gone")
    assert callers.order == ["first", "next", "gone"]


async def test_nothing_is_remembered_of_callers_who_are_done():
    """Callers come and go for months."""
    turns = Turns(2, 2)
    callers = Callers(turns)
    await callers.come("a", "b", "c")
    callers.tasks[2].cancel()
    await settle()
    await callers.leave("a")
    await callers.leave("b")
    assert not turns._taken
    assert not turns._waiting
