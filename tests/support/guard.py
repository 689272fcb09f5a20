"""Ends what the tests started when the tests themselves were killed: a program that runs beside them.

It is told of each process, `+pid` when it starts and `-pid` when it has ended; its input ends with the tests.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    running = set()
    for line in sys.stdin:
        if line.startswith("+"):
            running.add(int(line))
        else:
            running.discard(-int(line))
    if running:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        from tests.support.processes import kill_family  # noqa: PLC0415  needs imports that are seldom needed

        for pid in running:
            kill_family(pid)


if __name__ == "__main__":
    main()
