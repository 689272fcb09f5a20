"""Measures how long callbacks hold the event loop, in CPU time of its thread, which no other process can lengthen."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager


@contextmanager
def longest_hold():
    """Yields a list of one item: the longest that one callback has held the loop so far, in seconds of CPU time."""
    longest = [0.0]
    run = asyncio.Handle._run

    def measured(handle):
        started = time.thread_time()
        try:
            return run(handle)
        finally:
            longest[0] = max(longest[0], time.thread_time() - started)

    asyncio.Handle._run = measured
    try:
        yield longest
    finally:
        asyncio.Handle._run = run
