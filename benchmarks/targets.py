"""The ratios that Adyton promises, from a run with peers; exit code 1 where one is missed.

    python -m benchmarks.targets [FILE]                  from what `benchmarks.peers` found (var/benchmarks/peers.json)
    python -m benchmarks.targets --measure [--rounds 5]  measures what they need, in about seven minutes

One run, one core, medians of interleaved rounds. The longest gap of the event loop is measured by `benchmarks.gaps`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.measured import Measured

FILE = Path("var/benchmarks/peers.json")
ADYTON, ECHO, TUTORIAL, MLSERVER = "Adyton", "FastAPI echo", "tutorial app", "MLServer, batching"
#: Work, beside whom, and at least how many times its requests a second.
RATIOS = (
    ("iris, 64 connections", ECHO, 0.70),
    ("iris, 64 connections", TUTORIAL, 2.2),
    ("iris, 64 connections", MLSERVER, 3.0),
    ("forest, 64 connections", MLSERVER, 3.5),
    ("forest, batches of 100, 16 connections", MLSERVER, 3.0),
    ("iris, 1 connection", TUTORIAL, 0.9),
    ("forest, 1 connection", TUTORIAL, 10.0),
)
#: HistGradientBoosting beside the echo on 2026-11-26.
BOOSTED_BESIDE_ECHO = 0.55
P99_TO_P50 = 2.0


class Target(NamedTuple):
    """One promise: what was found beside its bound. None: the run did not measure it."""

    words: str
    found: float | None
    bound: float
    is_least: bool = True

    @property
    def is_met(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.bound if self.is_least else self.found <= self.bound


def targets(measured: Measured) -> Iterator[Target]:
    for work, other, least in RATIOS:
        yield Target(f"{work}: answers a second, beside {other}", _ratio(measured, work, work, other), least)
    boosted = _ratio(measured, "boosted, 64 connections", "iris, 64 connections", ECHO)
    yield Target("boosted, 64 connections: answers a second, beside FastAPI echo", boosted, BOOSTED_BESIDE_ECHO)
    for work in ("iris, 64 connections", "forest, 64 connections", "boosted, 64 connections"):
        ours = measured.median(work, ADYTON)
        found = ours["p99_ms"] / ours["p50_ms"] if ours else None
        yield Target(f"{work}: p99 beside p50", found, P99_TO_P50, is_least=False)


def _ratio(measured: Measured, work: str, others_work: str, other: str) -> float | None:
    ours, theirs = measured.median(work, ADYTON), measured.median(others_work, other)
    return ours["per_second"] / theirs["per_second"] if ours and theirs else None


def table(measured: Measured) -> str:
    lines = ["| promise | bound | found | met |", "|---|---|---|---|"]
    for each in targets(measured):
        bound = f"{'at least' if each.is_least else 'at most'} {each.bound:.2f}"
        found = "not measured" if each.found is None else f"{each.found:.2f}"
        lines.append(f"| {each.words} | {bound} | {found} | {({True: 'yes', False: 'no', None: ''})[each.is_met]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.measure:
        measured = _measure(options.seconds, options.rounds)
    elif options.file.exists():
        measured = Measured.of(json.loads(options.file.read_text())["results"])
    else:
        sys.exit(f"{options.file} does not exist: run `python -m benchmarks.peers` first, or give --measure")
    print(table(measured))
    sys.exit(any(each.is_met is False for each in targets(measured)))


def _measure(seconds: int, rounds: int) -> Measured:
    from benchmarks import contenders, environments  # noqa: PLC0415  figures from a file need none
    from benchmarks import rounds as measuring  # noqa: PLC0415  the same
    from benchmarks.work import WORK  # noqa: PLC0415  the same

    chosen = [*contenders.OWN, *([contenders.MLSERVER] if environments.is_made("mlserver") else [])]
    return measuring.measure(chosen, WORK, seconds=seconds, rounds=rounds)


if __name__ == "__main__":
    main()
