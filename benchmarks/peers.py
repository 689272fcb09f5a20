"""Adyton beside MLServer, LitServe and BentoML, a FastAPI echo and the app of a tutorial: the same models and rows.

    python -m benchmarks.peers [--seconds 3] [--rounds 5] [--only WORDS] [--publish]

It makes an environment for each peer under ./var/peers, and skips by name what cannot be installed. The results are
./var/benchmarks/peers.json and .svg; `--publish` also writes them to benchmarks/, with the tables of its README.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import environments, results, targets
from benchmarks.contenders import OWN, PEERS
from benchmarks.rounds import measure
from benchmarks.work import WORK

DIRECTORY = Path("var/benchmarks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="peers whose names hold these words")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--work", default="", help="work whose name holds these words")
    options = parser.parse_args()
    wanted = [each for each in PEERS if options.only.lower() in each.name.lower()]
    there = {home for home in dict.fromkeys(each.home for each in wanted) if environments.is_made(home)}
    contenders = [*OWN, *(each for each in wanted if each.home in there)]
    measured = measure(
        contenders, [each for each in WORK if options.work in each.name], seconds=options.seconds, rounds=options.rounds
    )
    made = results.document(measured, contenders, seconds=options.seconds, rounds=options.rounds)
    path = results.write(DIRECTORY, made, "peers")
    if options.publish:
        results.publish(made)
    print(results.tables(measured, [each.name for each in contenders]))
    print(f"\n{targets.table(measured)}\n\nThe results are {path} and {path.with_suffix('.svg')}.")


if __name__ == "__main__":
    main()
