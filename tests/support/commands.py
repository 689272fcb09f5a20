"""Commands of `adyton` in processes that are forked from one that has imported it: importing costs each two seconds."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import processes

FORKS = multiprocessing.get_context("forkserver")
#: The program, and what a server imports once it has models.
FORKS.set_forkserver_preload(
    ["cli.main", "api.app", "api.http.server", "onnxruntime", "pandas", "sklearn.ensemble", "sklearn.pipeline", "pytest",
     "tests.support.commands"]
)  # fmt: skip
SECONDS = 300


class Forked:
    """A function called in such a process, with as much of `subprocess.Popen` as is used; its code is what it returns."""

    def __init__(self, function, *arguments) -> None:
        self._process = FORKS.Process(target=_lead, args=(function, arguments))
        self._process.start()
        self.pid = self._process.pid
        processes.watch(self)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def run(arguments, directory: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs `adyton` with the arguments to its end, and returns what it wrote."""
    with tempfile.TemporaryDirectory() as name:
        output, error = Path(name) / "output", Path(name) / "error"
        code = result(Forked(adyton, arguments, directory, environment, output, error))
        return subprocess.CompletedProcess(arguments, code, output.read_text(), error.read_text())


def result(process: Forked) -> int:
    """Waits for what it returns, and ends it with all that it started."""
    try:
        return process.wait(SECONDS)
    finally:
        processes.end(process)


def _lead(function, arguments) -> None:
    """In the other process: leads a session of its own."""
    os.setsid()
    sys.exit(function(*arguments))


def adyton(arguments, directory: Path, environment: dict[str, str], output: Path, error: Path) -> None:
    """What `python -m cli` does in such a folder and environment; for a process of its own."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, output), (2, error)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    sys.argv = ["adyton", *arguments]
    from cli.main import run as main  # noqa: PLC0415  imported already, where this runs

    main()
