"""Single `iris` predictions with limits in memory, beside the same with limits in Redis, in about a minute.

    python -m benchmarks.limits [--seconds 3] [--rounds 5]

Both servers have one core, and are loaded in turn; the client and Redis share the other. It fails if Redis leaves less
than 0.75 of the answers a second, as the median of pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import results, servers
from benchmarks.contenders import ADYTON
from benchmarks.processes import free_port
from benchmarks.rounds import measure
from benchmarks.work import IRIS_64

LEAST = 0.75


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on the client's core; yields its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {servers.CLIENT_CORE})
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with redis() as url:

        def start(models: Path, directory: Path) -> AbstractContextManager[servers.Server]:  # noqa: ARG001  iris is bundled
            return servers.adyton(None, directory, ADYTON_REDIS_URL=url)

        in_memory, in_redis = replace(ADYTON, name="limits in memory"), replace(ADYTON, name="in Redis", start=start)
        measured = measure([in_memory, in_redis], [IRIS_64], seconds=options.seconds, rounds=options.rounds)
    print(results.tables(measured, [in_memory.name, in_redis.name]))
    pairs = zip(*(measured.rounds[IRIS_64.name, each.name] for each in (in_memory, in_redis)), strict=True)
    ratio = statistics.median(shared["per_second"] / own["per_second"] for own, shared in pairs)
    print(f"\nWith Redis one process answers {ratio:.2f} times as many, the median of pairs.")
    sys.exit(ratio < LEAST)


if __name__ == "__main__":
    main()
