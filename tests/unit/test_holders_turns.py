"""Turns at what few may do at once: no holder has more than its own."""

from __future__ import annotations

import asyncio

import pytest

from quotas.turns import Turns

pytestmark = pytest.mark.anyio


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_busy_holder_leaves_room_for_the_others():
    """Sixty of one holder's wait for one another; another holder's first goes at once."""
    turns, running, release = Turns(each=1, total=2), [], asyncio.Event()

    async def work(holder):
        async with turns.of(holder):
            running.append(holder)
            await release.wait()

    tasks = [asyncio.ensure_future(work("busy")) for _ in range(60)]
    await settle()
    tasks.append(asyncio.ensure_future(work("other")))
    await settle()
    assert running == ["busy", "other"]
    release.set()
    await asyncio.gather(*tasks)
    assert running.count("busy") == 60


async def test_whoever_gives_up_waiting_leaves_nothing_behind():
    """Its turn goes to the next, and a holder without any is forgotten."""
    turns, release = Turns(each=1, total=1), asyncio.Event()

    async def work(holder):
        async with turns.of(holder):
            await release.wait()

    first, second, third = (asyncio.ensure_future(work(name)) for name in ("a", "a", "b"))
    await settle()
    second.cancel()
    release.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    async with turns.of("a"):
        assert len(turns) == 1
    assert len(turns) == 0
