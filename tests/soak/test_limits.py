"""Limits in Redis under several processes that overload them, checked by an oracle over every decision."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import defaultdict

import pytest

from quotas.shared.seeding import Memory
from quotas.store import Charged, Meter, Trailing
from quotas.strategy import shared_store
from tests.support import processes
from tests.support.oracle import admitted_by_rule, worst_window
from tests.support.templates import ROOT

METERS = [["one", 1, 1], ["few", 20, 1], ["many", 400, 2], ["dear", 1_000_000, 1], ["slow", 60, 4]]


def run_spenders(redis, *, count, callers, seconds, costs, is_all, pause=0.02):
    """Returns all answers by meter: admitted (Redis' time, cost), and offered (Redis' time, cost)."""
    started = []
    for number in range(count):
        task = {
            "url": redis.url, "process": f"p{number}", "meters": METERS, "callers": callers, "seconds": seconds,
            "costs": costs, "all": is_all, "pause": pause, "wrong_by": 5 * (number - count // 2),
        }  # fmt: skip
        started.append(
            processes.start(
                [sys.executable, "-m", "tests.support.spender", json.dumps(task)], cwd=ROOT, stdout=subprocess.PIPE
            )
        )
    admitted, offered = defaultdict(list), defaultdict(list)
    try:
        for process in started:
            offers = json.loads(process.communicate(timeout=seconds + 300)[0])
            # Redis' clock runs beside this machine's steady clock; a refusal is told by the latter alone.
            behind = min((at - now for _, _, at, now in offers if at is not None), default=0)
            for name, cost, at, now in offers:
                offered[name].append((at if at is not None else now + behind, cost))
                if at is not None:
                    admitted[name].append((at, cost))
    finally:
        for process in started:
            processes.end(process)
    return admitted, offered


def check(admitted, offered, *, under=None):
    assert admitted
    for name, amount, seconds in METERS:
        length = seconds * 1_000_000
        assert worst_window(admitted[name], length) <= amount, name
        if under is not None and admitted[name]:
            ours = sum(cost for _, cost in admitted[name])
            # Callers who spend a whole window at once and wait for it do so one time more or less, by when the test ends.
            assert ours >= admitted_by_rule(offered[name], amount, length) * (1 - under) - amount, name


@pytest.mark.soak
@pytest.mark.parametrize(("costs", "is_all"), [([1], False), ([1, 3, 10], False), ([1, 40, 1_000], True)])
def test_no_window_of_any_policy_is_ever_exceeded(redis, rounds, costs, is_all):
    """Processes with clocks 5 s apart at many times each limit, some timing their bursts: never over."""
    seconds, count = rounds(60, 3), rounds(8, 4)
    admitted, offered = run_spenders(redis, count=count, callers=50, seconds=seconds, costs=costs, is_all=is_all)
    check(admitted, offered, under=None if is_all else 0.02 if seconds > 10 else 0.1)


@pytest.mark.soak
def test_keys_that_each_call_once_leave_nothing_behind(redis, rounds):
    """A million keys: Redis needs some hundred bytes for each, and gives all of it back when their windows have passed."""
    asyncio.run(call_once(redis, rounds(1_000_000, 20_000)))


async def call_once(redis, keys):
    store = shared_store(redis.url, "one", Memory())
    await store.start()
    before = int(redis.about("used_memory"))
    for start in range(0, keys, 500):
        charges = [store.charge([Meter(f"key-requests-1:{n}", 5, Trailing(1))], 1) for n in range(start, start + 500)]
        assert all(isinstance(each, Charged) for each in await asyncio.gather(*charges))
    assert int(redis.about("used_memory")) - before < keys * 400
    while int(redis.about("used_memory")) - before > keys * 40:
        await asyncio.sleep(0.2)
    await store.close()
