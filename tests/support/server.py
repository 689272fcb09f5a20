"""The program as operators run it: a process of its own on a port."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

import httpx
import psutil

from tests.support import commands, processes
from tests.support.patience import SECONDS, PatientConnections
from tests.support.ports import free_port

#: Long enough for any machine: a server that does not answer by then is broken, not slow.
START_SECONDS = 180
END_SECONDS = 120


class Server:
    """`adyton serve` at a site; what it writes goes to `log`.

    It is forked from a process that has imported it, unless it shall start as it does for operators. `files` is how many
    it may open, and `most_files` how many it may take, if not as many as these tests. With several `workers` it has
    started when all of them serve.
    """

    def __init__(self, site, *, is_forked=True, files=None, most_files=None, workers=1, **environment: str) -> None:
        self._workers = workers
        self.site, self.files = site, (files, most_files or files)
        self._is_forked = is_forked and self.files == (None, None)
        self.environment = site.environment() | environment
        self.port = free_port()
        self.log = site.directory / f"server-{self.port}.log"
        self.process = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers; where it does not, it is ended."""
        arguments = ["serve", "--port", str(self.port)]
        if self._workers > 1:
            arguments += ["--workers", str(self._workers)]
        if self._is_forked:
            self.process = commands.Forked(
                commands.adyton, arguments, self.site.directory, self.environment, self.log, self.log
            )
        else:
            command = [sys.executable, "-m", "cli", *arguments]
            with self.log.open("ab") as log:
                self.process = processes.start(
                    command, cwd=self.site.directory, env=self.environment, stdout=log, stderr=log
                )
        try:
            if self.files != (None, None):
                # Long before it has imported what it needs.
                resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, self.files)
            self._wait_until_healthy()
        except BaseException:
            self.kill()
            raise

    @cached_property
    def http(self) -> httpx.Client:
        """A client without a credential that lives as long as this."""
        return self.client()

    def client(self, key: str | None = None) -> httpx.Client:
        """A client that asks again while no caller can be known."""
        headers = {"X-API-Key": key} if key else {}
        return httpx.Client(
            transport=PatientConnections(verify=False), base_url=self.url, headers=headers, timeout=SECONDS
        )

    def kill(self) -> None:
        if "http" in vars(self):
            vars(self).pop("http").close()
        if self.process is not None:
            processes.end(self.process)

    def terminate(self) -> int:
        """Asks it to end, and returns with which code it did."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(END_SECONDS)
        finally:
            self.kill()

    def memory_bytes(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def limit_files(self, count: int) -> None:
        """From now on it opens no file beyond so many."""
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, most))

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def workers(self) -> list[psutil.Process]:
        """Its workers that serve, in the order in which they were started."""
        serving = set(re.findall(r"\(process (\d+)\) serves", self.log.read_text()))
        children = psutil.Process(self.process.pid).children()
        return [each for each in children if str(each.pid) in serving and is_alive(each)]

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy() or (self._workers > 1 and len(self.workers()) < self._workers):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not answer: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def is_alive(process: psutil.Process) -> bool:
    """Whether it has not ended, whoever has yet to be told."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_cli(site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command of `adyton`, as an operator gives it."""
    return commands.run(arguments, site.directory, site.environment() | environment)


def cli_json(site, *arguments: str):
    run = run_cli(site, *arguments, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
