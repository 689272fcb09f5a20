"""Turns: how many at once, and what becomes of those who stop waiting."""

from __future__ import annotations

import asyncio

import pytest

from auth.fair_queue import FairQueue, RecentFailures
from auth.turns import TooManySignIns, Turns

pytestmark = pytest.mark.anyio


def turns_of(at_once=1, per_network=2, in_all=3):
    return Turns(FairQueue(RecentFailures(), per_network=per_network, in_all=in_all), at_once=at_once)


async def waiting(turns, network="a"):
    """Somebody who waits for a turn."""
    task = asyncio.create_task(turns.take(network))
    await asyncio.sleep(0)
    return task


async def test_so_many_have_a_turn_at_once():
    """The next begins when one ends."""
    turns = turns_of(at_once=2)
    await turns.take("a")
    await turns.take("a")
    third = await waiting(turns)
    assert not third.done()
    turns.end()
    await third
    fourth = await waiting(turns)
    assert not fourth.done()
    turns.end()
    await fourth


async def test_who_stops_waiting_takes_no_turn():
    """Whether it came before, in the same moment, or not at all."""
    turns = turns_of()
    await turns.take("a")
    gone, gone_too_late, stays = await waiting(turns), await waiting(turns), await waiting(turns, "b")
    gone.cancel()
    await asyncio.sleep(0)
    turns.end()
    # The turn is given to one of them, who is cancelled before it can know.
    gone_too_late.cancel()
    results = await asyncio.gather(gone, gone_too_late, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    await stays
    turns.end()
    await turns.take("c")


async def test_a_turn_is_not_given_to_somebody_who_was_cancelled_a_moment_ago():
    """They have not left the queue yet, and the turn goes to the next."""
    turns = turns_of()
    await turns.take("a")
    gone, stays = await waiting(turns), await waiting(turns)
    gone.cancel()
    turns.end()
    await stays
    assert gone.cancelled()


async def test_who_has_to_leave_a_full_queue_is_told():
    """The newest of the network that has most; and whoever finds no room at all."""
    turns = turns_of()
    await turns.take("a")
    first, second, other = await waiting(turns), await waiting(turns), await waiting(turns, "b")
    with pytest.raises(TooManySignIns):
        await turns.take("a")
    third = await waiting(turns, "c")
    with pytest.raises(TooManySignIns):
        await second
    for _ in range(3):
        turns.end()
    await asyncio.gather(first, other, third)
