"""Whoever is noisy within their limits is hardly noticed by others; `make test` bounds the loop's time for each way."""

from __future__ import annotations

import pytest

from benchmarks.fairness import is_fair, run
from tests.support.noise import prepare

pytestmark = [pytest.mark.alone, pytest.mark.soak]


def test_nobody_notices_a_noisy_neighbour(site, serve, rounds):
    """The quiet caller's p95 is at most twice its own or 30 ms, and nothing of theirs is refused."""
    if rounds(10, short=0) == 0:
        pytest.skip("measures time: only with --soak")
    prepare(site)
    found = run(site, serve(site), seconds=6)
    assert {name: each for name, each in found.items() if not is_fair(each)} == {}
