"""Single `iris` predictions with limits in memory, beside the same with limits in Redis.

    python -m benchmarks.limits [--seconds 4] [--rounds 5]

Both servers run at once on one core, and are loaded in turn; the client and Redis share the other. Medians. It fails
if Redis leaves less than 0.75 of the answers a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.predictions import measure

REDIS_PORT = 8913
LEAST = 0.75


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on the client's core; yields its URL."""
    command = ["redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {servers.CLIENT_CORE})
    try:
        yield f"redis://127.0.0.1:{REDIS_PORT}/0"
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        url = stack.enter_context(redis())
        compared = {
            "memory": stack.enter_context(servers.adyton(8911, folders[0])),
            "Redis": stack.enter_context(servers.adyton(8912, folders[1], ADYTON_REDIS_URL=url)),
        }
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in compared}
        for server in compared.values():
            measure(server, 8, 1)
        for _ in range(options.rounds):
            for name, server in compared.items():
                rounds[name].append(measure(server, 64, options.seconds))
    print("| limits in | answers/s | p50 ms | p99 ms | CPU µs each |\n|---|---|---|---|---|")
    for name, results in rounds.items():
        median = {each: statistics.median(result[each] for result in results) for each in results[0]}
        figures = f"{median['per_second']:.0f} | {median['p50']:.2f} | {median['p99']:.2f} | {median['cpu_us']:.0f}"
        print(f"| {name} | {figures} |")
    pairs = zip(rounds["memory"], rounds["Redis"], strict=True)
    ratio = statistics.median(shared["per_second"] / own["per_second"] for own, shared in pairs)
    print(f"\nWith Redis one process answers {ratio:.2f} times as many, the median of pairs.")
    sys.exit(ratio < LEAST)


if __name__ == "__main__":
    main()
