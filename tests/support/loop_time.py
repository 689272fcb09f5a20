"""How long callbacks hold the event loop, in CPU time of its own thread, which no other process can lengthen."""

from __future__ import annotations

import asyncio
import time


async def longest_hold(work):
    """Awaits the work in a task of its own; returns its result, and the longest that one callback held the loop.

    In seconds of CPU time. Every step of the task is a callback, and so is whatever else the loop does meanwhile.
    """
    longest = 0.0
    run = asyncio.Handle._run

    def measured(handle):
        nonlocal longest
        started = time.thread_time()
        try:
            return run(handle)
        finally:
            longest = max(longest, time.thread_time() - started)

    asyncio.Handle._run = measured
    try:
        result = await asyncio.ensure_future(work)
    finally:
        asyncio.Handle._run = run
    return result, longest
