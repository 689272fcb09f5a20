"""The servers that are compared: each in processes of its own, all on one core."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Family, cores, free_port, running

ROOT = Path(__file__).parent.parent
APPS = Path(__file__).parent / "apps"
SERVER_CORE, CLIENT_CORE = cores()
UNREACHED = "1000000000/minute"
SECRET = "benchmarks: an unused secret, but at least 32 bytes long"


class Server:
    """Processes that answer on a port."""

    def __init__(self, family: Family, port: int, key: str | None = None) -> None:
        self.family, self.port, self.key = family, port, key

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | ({"X-API-Key": self.key} if self.key else {})

    def memory_bytes(self) -> int:
        return self.family.memory_bytes()

    def cpu_seconds(self) -> float:
        return self.family.cpu_seconds()

    def stop(self) -> None:
        """Takes the processor away from it, so that it cannot disturb others."""
        self.family.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.family.signal(signal.SIGCONT)


@contextmanager
def started(
    command: Sequence[str], directory: Path, port: int | None = None, key: str | None = None, **variables: str
) -> Iterator[Server]:
    """A server by its command, in which `PORT` stands for the port."""
    port = port or free_port()
    directory.mkdir(parents=True, exist_ok=True)
    words = [word.replace("PORT", str(port)) for word in command]
    # One thread for each: on one core, more would only wait for each other.
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | variables
    with running(words, port, directory, environment, core=SERVER_CORE) as family:
        yield Server(family, port, key)


@contextmanager
def plain(app: str, directory: Path, **variables: str) -> Iterator[Server]:
    """One of our `apps/`, on uvicorn as installed."""
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.apps.{app}:app", "--port", "PORT", "--no-access-log"]
    with started(command, directory, **variables) as server:
        yield server


@contextmanager
def adyton(
    port: int | None,
    directory: Path,
    database_url: str | None = None,
    *,
    registers: Sequence[Sequence[str]] = (),
    launcher: Sequence[str] = (sys.executable, "-m", "cli"),
    **settings: str,
) -> Iterator[Server]:
    """Adyton as in production, with limits that are counted and never reached.

    `registers` holds the arguments of `adyton models register` for each further model.
    """
    variables = {"ADYTON_SECRET": SECRET, "ADYTON_LOG_LEVEL": "warning"} | settings
    if database_url:
        variables["ADYTON_DATABASE_URL"] = database_url
    directory.mkdir(parents=True, exist_ok=True)
    key = prepare(directory, dict(os.environ) | variables, registers)
    with started([*launcher, "serve", "--port", "PORT"], directory, port, key, **variables) as server:
        yield server


def prepare(directory: Path, environment: dict[str, str], registers: Sequence[Sequence[str]]) -> str:
    """Makes an installation with a tenant that nothing limits; returns its key."""

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
