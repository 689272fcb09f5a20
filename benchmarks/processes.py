"""A server's processes: started on one core, stopped while others are measured, and asked what they used."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 180


def cores() -> tuple[int, int]:
    """The server's core and the client's."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(allowed) < 2:
        sys.exit("the benchmarks need Linux, and two processor cores: one for the server and one for the client")
    return allowed[0], allowed[1]


class Family:
    """A process that leads a session, with all that it started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1000:]

    def members(self) -> list[int]:
        parents = dict(_parents())
        return [pid for pid in parents if self.process.pid in _line_of(pid, parents)]

    def cpu_seconds(self) -> float:
        """The processor time of them all, in user and kernel mode."""
        ticks = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """The memory of them all; what several share counts once."""
        total = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    def signal(self, number: int) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Asks its first process to end, and kills what is left."""
        self.signal(signal.SIGCONT)
        members = self.members()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(40)
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(path.name), int((path / "stat").read_text().rpartition(")")[2].split()[1])


def _line_of(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid in parents:
        yield pid
        pid = parents[pid]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: list[str], port: int, directory: Path, environment: dict[str, str], *, core: int
) -> Iterator[Family]:
    """The command's processes on a core, from when it listens on its port; what it writes goes to `server.log`."""
    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    os.sched_setaffinity(process.pid, {core})
    family = Family(process, log)
    try:
        _wait(port, family)
        yield family
    finally:
        family.end()


def _wait(port: int, family: Family) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if family.process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {family.last_words()}")
