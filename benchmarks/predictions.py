"""Adyton beside a FastAPI echo and the app of a tutorial, in about three minutes.

    python -m benchmarks.predictions [--seconds 2] [--rounds 3]

The results are ./var/benchmarks/predictions.json and .svg.
"""

from __future__ import annotations

import argparse

from benchmarks import results
from benchmarks.contenders import OWN
from benchmarks.peers import DIRECTORY
from benchmarks.rounds import measure
from benchmarks.work import WORK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", default="", help="work whose name holds these words")
    options = parser.parse_args()
    measured = measure(
        OWN, [each for each in WORK if options.work in each.name], seconds=options.seconds, rounds=options.rounds
    )
    made = results.document(measured, OWN, seconds=options.seconds, rounds=options.rounds)
    path = results.write(DIRECTORY, made, "predictions")
    print(results.tables(measured, [each.name for each in OWN]))
    print(f"\nThe results are {path} and {path.with_suffix('.svg')}.")


if __name__ == "__main__":
    main()
