"""No request that a key can send holds the event loop for long; `benchmarks.fairness` measures what others notice."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.loop_time import longest_hold
from tests.support.noise import noises, operations, prepare

pytestmark = pytest.mark.anyio

#: DESIGN's bound for anything that the contract's bounds allow, and as much again for the client on the same loop.
MOST_SECONDS = 0.05


async def test_no_way_of_being_noisy_holds_the_loop(site):
    """Each row of the table is asked several times; what counts is the CPU time of the longest callback."""
    prepare(site)
    key = site.key()
    held = {}
    async with site.client() as client:
        for noise in noises(key):
            headers = noise.headers | ({"X-API-Key": key} if noise.is_known else {})
            longest = []
            for _ in range(3):
                asked = client.request(noise.method, noise.url, content=noise.content, headers=headers)
                answer, hold = await longest_hold(asked)
                longest.append(hold)
                assert answer.status_code != 500, noise.name
            # The least: a collection of garbage is nobody's cost.
            held[noise.name] = min(longest)
        document = (await client.get("/openapi.json")).json()
    assert {name: seconds for name, seconds in held.items() if seconds > MOST_SECONDS} == {}
    assert operations(document) <= {noise.operation for noise in noises(key)}


async def test_the_measure_sees_what_holds_the_loop():
    """A callback that works for a while is found, wherever it stands in the request."""

    async def works():
        until = time.thread_time() + 0.03
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0)
        return "done"

    result, hold = await longest_hold(works())
    assert result == "done"
    assert 0.03 <= hold < 0.3
