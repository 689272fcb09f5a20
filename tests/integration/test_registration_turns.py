"""One registration at a time, also across processes."""

from __future__ import annotations

import asyncio
import sys

import pytest

from program.registrations import Registrations
from tests.support import processes
from tests.support.patience import SECONDS

pytestmark = pytest.mark.anyio

#: Takes the turn, says so, and never ends.
TAKES_IT = """
import asyncio, sys, time
from pathlib import Path
from program.registrations import Registrations
asyncio.run(Registrations(Path(sys.argv[1])).acquire())
print("taken", flush=True)
time.sleep(3600)
"""


async def test_another_process_waits_for_the_turn(tmp_path):
    """Until the one that has it ends, even by `kill -9`."""
    other = processes.start([sys.executable, "-c", TAKES_IT, tmp_path], stdout=-1, text=True)
    try:
        assert other.stdout.readline() == "taken\n"
        mine = Registrations(tmp_path)
        waiting = asyncio.create_task(mine.acquire())
        await asyncio.sleep(0.3)
        assert not waiting.done()
    finally:
        processes.end(other)
    await asyncio.wait_for(waiting, SECONDS)
    mine.release()


async def test_the_turn_of_a_request_that_gives_up_is_free(tmp_path):
    """It waited for another process, or for another request of its own one."""
    first, second = Registrations(tmp_path), Registrations(tmp_path)
    await first.acquire()
    for turns in (first, second):
        waiting = asyncio.create_task(turns.acquire())
        await asyncio.sleep(0.15)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    first.release()
    for turns in (first, second):
        await asyncio.wait_for(turns.acquire(), SECONDS)
        turns.release()
