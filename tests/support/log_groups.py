"""A program that writes large groups to a log of its own: `python log_groups.py DATABASE [all-descriptors]`.

Prints how many records were written. With the second word it uses up its file descriptors first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time
from uuid import uuid4

import migrations
from audit.record import Record
from audit.writer import LogWriter
from db.database import Database
from values.ids import uuid7
from values.instants import now_ms

GROUPS, RECORDS = 30, 256


def record() -> Record:
    """Returns a record of a new tenant, so that a group touches many pages of the index."""
    at_ms = now_ms()
    caller = (str(uuid4()), "key:test", "k" * 12)
    facts = ("/predict", "answered", 200, time.perf_counter())
    return Record(uuid7(at_ms), at_ms, *caller, *facts, rows=1, inputs="[1]" * 100, outputs="[2]")


def use_up_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.suppress(OSError):
        while True:
            os.open("/dev/null", os.O_RDONLY)


async def main(path: str, *, uses_up: bool) -> None:
    database = Database(f"sqlite:///{path}")
    migrations.upgrade(database)
    writer = LogWriter(database)
    writer.start(asyncio.get_running_loop())
    # Python imports its threads when the first one starts.
    await asyncio.to_thread(int)
    if uses_up:
        use_up_descriptors()
    written = 0
    for _ in range(GROUPS):
        results = await asyncio.gather(*(writer.append(record()) for _ in range(RECORDS)), return_exceptions=True)
        written += sum(not isinstance(result, Exception) for result in results)
    await asyncio.to_thread(writer.close, 30)
    sys.stdout.write(f"{written}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], uses_up=len(sys.argv) > 2))
