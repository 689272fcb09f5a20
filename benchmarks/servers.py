"""The servers that are compared, on one core; one at a time is loaded."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVER_CORE, CLIENT_CORE = 0, 1
UNREACHED = "1000000000/minute"
SECRET = "benchmarks: an unused secret, but at least 32 bytes long"


class Server:
    """A process that answers on a port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: str | None = None) -> None:
        self.process, self.port, self.key = process, port, key

    def memory_bytes(self) -> int:
        """The process's resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """The processor time of the process, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def plain(port: int) -> Iterator[Server]:
    """The model behind a plain FastAPI route, on uvicorn as installed."""
    command = [sys.executable, "-m", "uvicorn", "benchmarks.plain_app:app", "--port", str(port), "--no-access-log"]
    with _running(command, port, ROOT, dict(os.environ)) as process:
        yield Server(process, port)


@contextmanager
def adyton(
    port: int,
    directory: Path,
    database_url: str | None = None,
    *,
    registers: Sequence[Sequence[str]] = (),
    **settings: str,
) -> Iterator[Server]:
    """Adyton as in production, with limits that are counted and never reached.

    `registers` holds the arguments of `adyton models register` for each further model.
    """
    environment = dict(os.environ) | {"ADYTON_SECRET": SECRET, "ADYTON_LOG_LEVEL": "warning"} | settings
    if database_url:
        environment["ADYTON_DATABASE_URL"] = database_url
    key = prepare(directory, environment, registers)
    command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
    with _running(command, port, directory, environment | {"PYTHONPATH": str(ROOT)}) as process:
        yield Server(process, port, key)


def prepare(directory: Path, environment: dict[str, str], registers: Sequence[Sequence[str]]) -> str:
    def cli(*arguments: str) -> dict[str, str]:
        command = [sys.executable, "-m", "cli", *arguments, "--json"]
        variables = environment | {"PYTHONPATH": str(ROOT)}
        run = subprocess.run(command, cwd=directory, env=variables, check=True, capture_output=True)
        answer: dict[str, str] = json.loads(run.stdout)
        return answer

    cli("db", "upgrade")
    cli("models", "bundled")
    for arguments in registers:
        cli("models", "register", *arguments, "--public")
    cli("plans", "set", "measured", "--limit", UNREACHED, "--rows", UNREACHED, "--concurrency", "1000")
    cli("tenants", "create", "measured", "--plan", "measured")
    return cli("keys", "create", "--tenant", "measured", "--limit", UNREACHED)["key"]


@contextmanager
def _running(
    command: list[str], port: int, directory: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=directory, env=environment)
    os.sched_setaffinity(process.pid, {SERVER_CORE})
    try:
        _wait(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")
