"""Fails where a prediction's CPU time, relative to a FastAPI echo's in the same run, is past its bound.

    python -m benchmarks.guard [--seconds 2] [--rounds 7]      about two minutes

The faster the machine, the faster both; so the ratio says what a change of the code cost. Rounds in which other work of
the machine took the echo's core do not count. Exit code 1: slower than the bound; 2: the machine was too busy to tell.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

from benchmarks.measured import Measured
from benchmarks.targets import ADYTON, ECHO
from benchmarks.work import BATCHES, BOOSTED_64, FOREST_64, IRIS_64, Work

#: CPU time of an answer, in echoes: what was measured last, and a sixth more. Lower them with the code.
BOUNDS: dict[Work, float] = {IRIS_64: 2.9, FOREST_64: 2.7, BOOSTED_64: 2.1, BATCHES: 9.3}
#: An echo with 64 connections does nothing but compute: on a core of its own it has all of it.
FREE_SHARE = 0.9
ENOUGH_ROUNDS = 3


def free_rounds(measured: Measured) -> list[int]:
    """The rounds in which the echo had its core to itself."""
    echoes = measured.rounds.get((IRIS_64.name, ECHO), [])
    return [number for number, each in enumerate(echoes) if each["core_share"] >= FREE_SHARE]


def ratio(measured: Measured, work: Work, rounds: Sequence[int]) -> float:
    """The median of an answer's CPU time in echoes of the same round."""
    ours, echoes = measured.rounds[work.name, ADYTON], measured.rounds[IRIS_64.name, ECHO]
    return statistics.median(ours[number]["cpu_us"] / echoes[number]["cpu_us"] for number in rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    from benchmarks import contenders, rounds  # noqa: PLC0415  `--help` works on a machine that has no second core

    both = (contenders.ECHO, contenders.ADYTON)
    measured = rounds.measure(both, list(BOUNDS), seconds=options.seconds, rounds=options.rounds)
    return judge(measured)


def judge(measured: Measured) -> int:
    """Prints each ratio beside its bound; returns the exit code."""
    free = free_rounds(measured)
    if len(free) < ENOUGH_ROUNDS:
        print("the machine was too busy: the echo did not have its core to itself", file=sys.stderr)
        return 2
    print("| work | CPU of an answer, in echoes | at most |\n|---|---|---|")
    found = {work: ratio(measured, work, free) for work in BOUNDS}
    for work, bound in BOUNDS.items():
        print(f"| {work.name} | {found[work]:.2f} | {bound:.2f} |")
    return int(any(found[work] > bound for work, bound in BOUNDS.items()))


if __name__ == "__main__":
    sys.exit(main())
