"""A process that charges one Redis as fast as it may: `python -m tests.support.spender '{...}'`.

It writes what it was answered, as JSON: for each offer its meter, its cost, and Redis' time if it was admitted or its own
time if it was not.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from quotas.shared.seeding import Memory
from quotas.store import Charged, Meter, StoreUnavailable, Trailing
from quotas.strategy import shared_store


async def main(task) -> None:
    meters = [Meter(name, amount, Trailing(seconds)) for name, amount, seconds in task["meters"]]
    store = shared_store(task["url"], task["process"], Memory())
    # This process' wall clock is wrong by so much.
    store._wall_clock = lambda: time.time() + task["wrong_by"]
    await store.start()
    offers, ends = [], time.monotonic() + task["seconds"]

    async def call(number):
        chosen = random.Random(f"{task['process']} {number}")
        while time.monotonic() < ends:
            cost = chosen.choice(task["costs"])
            fitting = [meter for meter in meters if cost <= meter.amount]
            some = fitting if task["all"] else [chosen.choice(fitting)]
            try:
                outcome = await store.charge(some, cost)
            except StoreUnavailable:
                # A machine with too much to do answers late. Such a charge counts as spent, and as refused.
                await asyncio.sleep(task["pause"])
                continue
            charged = isinstance(outcome, Charged)
            now = time.monotonic_ns() // 1_000
            offers.extend((meter.name, cost, outcome.spent_at if charged else None, now) for meter in some)
            if not charged:
                # As an adversary would: it asks again at the moment at which the window lets something go.
                wait = outcome.wait_ns / 1e9
                await asyncio.sleep(min(wait, task["pause"]) if number % 3 else wait)

    await asyncio.gather(*(call(number) for number in range(task["callers"])))
    await store.close()
    print(json.dumps(offers))  # noqa: T201  its parent reads it


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
