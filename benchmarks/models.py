"""Models: compiled beside a plain route that runs scikit-learn itself; with gathered calls beside the same without.

    python -m benchmarks.models [--seconds 4] [--rounds 5]

All servers run at once, each on the same core, and are loaded in turn; the client runs on the other core. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks import load, servers

BATCH = 100

#: A server, the path, the body and the number of connections.
Load = tuple[servers.Server, str, Any, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        boosted = _boosted(directory)
        for each in ("gathers", "alone"):
            (directory / each).mkdir()
        with (
            servers.plain(8911) as plain,
            servers.adyton(8912, directory / "gathers", registers=[boosted]) as gathers,
            servers.adyton(8913, directory / "alone", registers=[boosted], ADYTON_BATCHING="false") as alone,
        ):
            _measure(options, plain, gathers, alone)


def _boosted(directory: Path) -> list[str]:
    """The arguments that register a model that does not compile."""
    data = load_wine()
    model = HistGradientBoostingClassifier(random_state=0).fit(data.data, data.target)
    joblib.dump(model, directory / "boosted.joblib")
    pd.DataFrame(data.data, columns=data.feature_names).to_csv(directory / "sample.csv", index=False)
    return ["boosted", str(directory / "boosted.joblib"), "--sample", str(directory / "sample.csv")]


def _measure(options: Any, plain: servers.Server, gathers: servers.Server, alone: servers.Server) -> None:
    data = load_wine()
    named = dict(zip(data.feature_names, data.data[0].tolist(), strict=True))
    numbered = {f"f{number}": value for number, value in enumerate(data.data[0].tolist())}
    forest, boosted = "/v1/models/wine/predict", "/v1/models/boosted/predict"
    compared: dict[str, list[Load]] = {
        "forest, 1 row, 64 connections": [(plain, "/wine", numbered, 64), (gathers, forest, named, 64)],
        f"forest, {BATCH} rows, 8 connections": [
            (plain, "/wine/batch", [numbered] * BATCH, 8),
            (gathers, f"{forest}/batch", {"rows": [named] * BATCH}, 8),
        ],
        "boosted, 1 row, 64 connections": [(alone, boosted, named, 64), (gathers, boosted, named, 64)],
        "boosted, 1 row, 1 connection": [(alone, boosted, named, 1), (gathers, boosted, named, 1)],
        "compiled, batching on and off": [(alone, forest, named, 64), (gathers, forest, named, 64)],
    }
    rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number in range(options.rounds + 1):
        for name, pair in compared.items():
            for side, (server, path, body, connections) in enumerate(pair):
                seconds = options.seconds if number else 1
                found = _load(server, path, json.dumps(body).encode(), connections, seconds)
                if number:
                    rounds.setdefault((name, side), []).append(found)
    print("| what | beside | it | ratio | CPU ms beside | it |\n|---|---|---|---|---|---|")
    for name in compared:
        beside, it = (
            {key: statistics.median(found[key] for found in rounds[name, side]) for key in ("per_second", "cpu_ms")}
            for side in (0, 1)
        )
        ratio = it["per_second"] / beside["per_second"]
        rates = f"{beside['per_second']:.0f}/s | {it['per_second']:.0f}/s | {ratio:.2f}"
        print(f"| {name} | {rates} | {beside['cpu_ms']:.2f} | {it['cpu_ms']:.2f} |")


def _load(server: servers.Server, path: str, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    headers = {"X-API-Key": server.key} if server.key else {}
    before = server.cpu_seconds()
    result = load.run(server.port, repeat(load.post(path, body, headers)), connections=connections, seconds=seconds)
    if set(result.statuses) != {200}:
        raise RuntimeError(f"not all answered: {dict(result.statuses)}")
    cpu_ms = (server.cpu_seconds() - before) / len(result.latencies) * 1e3
    return {"per_second": result.per_second, "cpu_ms": cpu_ms}


if __name__ == "__main__":
    main()
