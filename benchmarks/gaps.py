"""The longest time for which the event loop answered nobody, under 64 connections.

    python -m benchmarks.gaps [--seconds 600] [--most-ms 10]

Exit code 1 where it is longer than `--most-ms`. The CPU time is that of the loop's own thread: the machine's other work
is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from itertools import repeat
from pathlib import Path

from benchmarks import load, servers
from benchmarks.watched import STARTING_SECONDS

ROW = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--most-ms", type=float, default=10)
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "gaps.json"
        launcher = (sys.executable, "-m", "benchmarks.watched", str(file))
        with servers.adyton(None, Path(name) / "site", launcher=launcher) as server:
            time.sleep(STARTING_SECONDS)
            asked = load.post("/v1/models/iris/predict", ROW, {"X-API-Key": server.key or ""})
            result = load.run(server.port, repeat(asked), connections=64, seconds=options.seconds)
        longest = json.loads(file.read_text())
    print(f"{len(result.latencies)} answers in {result.seconds:.0f} s, {dict(result.statuses)}")
    print(
        f"longest gap {longest['gap_ms']:.1f} ms; longest CPU time {longest['cpu_ms']:.1f} ms; {longest['beats']} beats"
    )
    return int(longest["gap_ms"] > options.most_ms)


if __name__ == "__main__":
    sys.exit(main())
