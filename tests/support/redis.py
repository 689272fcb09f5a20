"""A throw-away Redis server on loopback, from the binary found on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from tests.support import processes
from tests.support.ports import free_port

#: Long enough for any machine to start it.
START_SECONDS = 60


def find_redis() -> str | None:
    return shutil.which("redis-server")


class Redis:
    """One server. `options` are words of its command line."""

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="adyton-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self.process = None
        self.start()

    def start(self) -> None:
        command = [find_redis() or "redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.directory), "--save", "", "--appendonly", "no", *self._options]
        with (self.directory / "log").open("ab") as log:
            self.process = processes.start(command, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            processes.end(self.process)
            raise

    def kill(self) -> None:
        processes.end(self.process)

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ask(self, *words: object) -> str:
        """The answer to one command, as the server writes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(
                (f"*{len(words)}\r\n" + "".join(f"${len(str(w).encode())}\r\n{w}\r\n" for w in words)).encode()
            )
            answer = client.recv(1 << 16)
            if answer.startswith(b"$") and (length := int(answer[1 : answer.index(b"\r\n")])) >= 0:
                while len(answer) < answer.index(b"\r\n") + 2 + length + 2:
                    answer += client.recv(1 << 16)
                return answer[answer.index(b"\r\n") + 2 : -2].decode(errors="replace")
            return answer.decode(errors="replace").strip()

    def about(self, name: str) -> str:
        return next(line.partition(":")[2] for line in self.ask("INFO").splitlines() if line.startswith(f"{name}:"))

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                # One with a password refuses to say more, which is as good.
                if self.ask("PING").startswith(("+PONG", "-NOAUTH")):
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError((self.directory / "log").read_text()[-2000:])
