"""A throw-away PostgreSQL server on loopback, from the binaries found on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.support import processes
from tests.support.ports import free_port

#: Long enough for any machine to start it, or to replay its log.
START_SECONDS = 180
END_SECONDS = 120
#: A test kills the server, never the machine: what was written is there whether or not it reached the disk.
FAST = ("fsync=off", "full_page_writes=off")
OWNER, PROGRAM = "adyton_owner", "adyton_program"


def find_binaries() -> Path | None:
    """Returns the folder with `initdb` and `postgres`, or None if this machine has none."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in candidates if (each / "initdb").exists() and (each / "postgres").exists()), None)


class Postgres:
    """One server; every test gets a database of its own."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.directory = Path(tempfile.mkdtemp(prefix="adyton-postgres-"))
        # PostgreSQL refuses to run as root.
        self._user = pwd.getpwnam("postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
        os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        self._data = self.directory / "data"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        self.port = free_port()
        self._databases = 0
        self._has_roles = False
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += ["-k", str(self.directory), "-c", "listen_addresses=127.0.0.1", "-c", "logging_collector=off"]
        command += [word for setting in FAST for word in ("-c", setting)]
        with (self.directory / "log").open("ab") as log:
            self.process = processes.start(
                command, stdout=log, stderr=log, user=self._demoted(), group=self._group(), cwd="/"
            )
        try:
            self._wait()
        except BaseException:
            processes.end(self.process)
            raise

    def stop_at_once(self) -> None:
        """Shuts down at once: no checkpoint, no goodbye to clients; the next start replays the log."""
        self._signal(signal.SIGQUIT)

    def stop(self) -> None:
        self._signal(signal.SIGINT)

    def freeze(self) -> None:
        """Stops every process of the server where it is; connections stay open and answer nothing."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in reversed(self._pids()):
            os.kill(pid, signal.SIGCONT)

    def new_database(self, owner: str = "postgres", template: str = "template1") -> str:
        """Makes a database; returns its URL for its owner, by default a superuser."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}")
        return f"postgresql+psycopg://{owner}@127.0.0.1:{self.port}/{name}"

    def new_isolated_database(self, template: str = "template1") -> tuple[str, str]:
        """Makes a database; returns its URLs for the program's role, which owns nothing, and for the owner.

        The database is a copy of `template`, to which nobody may be connected.
        """
        if not self._has_roles:
            self.execute(f"CREATE ROLE {OWNER} LOGIN")
            self.execute(f"CREATE ROLE {PROGRAM} LOGIN")
            self._has_roles = True
        url = self.new_database(OWNER, template)
        return url.replace(OWNER, PROGRAM), url

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self._dsn(database), autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        """Ends it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.stop_at_once()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _pids(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            self.process.wait(END_SECONDS)
        finally:
            processes.end(self.process)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self._dsn("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "log").read_text()[-2000:]) from None
                time.sleep(0.02)
            else:
                return

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, user=self._demoted(), group=self._group(), cwd="/")

    def _demoted(self) -> int | None:
        return self._user.pw_uid if os.getuid() == 0 else None

    def _group(self) -> int | None:
        return self._user.pw_gid if os.getuid() == 0 else None
