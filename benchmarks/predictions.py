"""Single `iris` predictions: secured, limited and durably recorded, beside a plain FastAPI route with none of it.

    python -m benchmarks.predictions [--seconds 5] [--rounds 5]

Both servers run at once on the same core, and are loaded in turn; the client runs on the other core. Medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks import load, servers

ROW = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'


def measure(server: servers.Server, connections: int, seconds: float) -> dict[str, float]:
    """Answers a second, latencies in ms, and processor time per answer in µs."""
    headers = {"X-API-Key": server.key} if server.key else {}
    path = "/v1/models/iris/predict" if server.key else "/predict"
    before = server.cpu_seconds()
    result = load.run(server.port, repeat(load.post(path, ROW, headers)), connections=connections, seconds=seconds)
    if set(result.statuses) != {200}:
        raise RuntimeError(f"not all answered: {dict(result.statuses)}")
    cpu = (server.cpu_seconds() - before) / len(result.latencies) * 1e6
    return {"per_second": result.per_second, "p50": result.quantile(0.5), "p99": result.quantile(0.99), "cpu_us": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with (
        tempfile.TemporaryDirectory() as directory,
        servers.plain(8901) as plain,
        servers.adyton(8902, Path(directory), options.database_url) as adyton,
    ):
        rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
        for each in (plain, adyton):
            measure(each, 8, 1)
        for _ in range(options.rounds):
            for connections in (1, 32, 64):
                for name, server in (("plain", plain), ("adyton", adyton)):
                    rounds.setdefault((name, connections), []).append(measure(server, connections, options.seconds))
    print("| connections | server | answers/s | p50 ms | p99 ms | CPU µs each |\n|---|---|---|---|---|---|")
    medians: dict[Any, dict[str, float]] = {}
    for (name, connections), results in sorted(rounds.items(), key=lambda item: (item[0][1], item[0][0])):
        median = medians[name, connections] = {each: statistics.median(r[each] for r in results) for each in results[0]}
        figures = f"{median['per_second']:.0f} | {median['p50']:.2f} | {median['p99']:.2f} | {median['cpu_us']:.0f}"
        print(f"| {connections} | {name} | {figures} |")
    ratio = medians["adyton", 64]["per_second"] / medians["plain", 64]["per_second"]
    tail = medians["adyton", 32]["p99"] / medians["adyton", 32]["p50"]
    print(f"\nAt 64 connections Adyton answers {ratio:.2f} times as many; at 32 its p99 is {tail:.1f} times its p50.")


if __name__ == "__main__":
    main()
