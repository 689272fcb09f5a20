"""A bare process that answers: what a wait is measured against on a machine that may have other things to do."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.support import processes

ECHO = "import os\nwhile said := os.read(0, 1):\n    os.write(1, said)"


class Bare:
    """Answers a byte with a byte, between `with` and its end; remembers the slowest answer."""

    def __enter__(self):
        self.slowest_seconds = 0.0
        command = [sys.executable, "-S", "-c", ECHO]
        self._process = processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        return self

    def __exit__(self, *_):
        processes.end(self._process)

    def ask(self) -> None:
        started = time.perf_counter()
        self._process.stdin.write(b"x")
        assert self._process.stdout.read(1) == b"x"
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - started)
