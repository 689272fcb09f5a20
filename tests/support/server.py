"""The program as operators run it: a process of its own on a port."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.postgres import free_port


class Server:
    """`adyton serve` at a site; its output goes to `log`."""

    def __init__(self, site, *, files: int | None = None, most_files: int | None = None, **environment: str) -> None:
        self.site = site
        #: The soft and the hard limit of its open files, if not those of these tests.
        self.files = (files, most_files or files)
        self.environment = site.environment() | environment
        self.port = free_port()
        self.log = site.directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "cli", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.site.directory, env=self.environment, stdout=log, stderr=log
            )
        if self.files != (None, None):
            # Long before it has imported its modules.
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, self.files)
        self.wait_until_healthy()

    def wait_until_healthy(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(self.log.read_text()[-2000:])
            try:
                if httpx.get(f"{self.url}/health", timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError("the server does not answer")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        return self._end(signal.SIGTERM)

    def memory_bytes(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def limit_files(self, count: int) -> None:
        """Lets the server open no more than `count` files from now on."""
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, most))

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _end(self, number: int) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(40)


def run_cli(site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs one command of `adyton`, as an operator does."""
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(
        command, cwd=site.directory, env=site.environment() | environment, capture_output=True, text=True, check=False
    )


def cli_json(site, *arguments: str):
    run = run_cli(site, *arguments, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
