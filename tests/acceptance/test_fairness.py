"""No request that a key can send holds the event loop for long; `benchmarks.fairness` measures what others notice."""

from __future__ import annotations

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
                with longest_hold() as hold:
                    answer = await client.request(noise.method, noise.url, content=noise.content, headers=headers)
                longest.append(hold[0])
                assert answer.status_code != 500, noise.name
            # The least: a collection of garbage is nobody's cost.
            held[noise.name] = min(longest)
        document = (await client.get("/openapi.json")).json()
    assert {name: seconds for name, seconds in held.items() if seconds > MOST_SECONDS} == {}
    assert operations(document) <= {noise.operation for noise in noises(key)}
