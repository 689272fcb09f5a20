"""`make load`: starts a server of its own, loads it with everybody at once, and judges the run.

    python -m locustfiles.run [--alone 10] [--beside 25] [--processes 1] [--rate 1] [--greedy-users 2]

All files are under ./var/load: `judgement.html` says what was found, `report.html` is Locust's own. The exit code is
the judgement's: 0 green, 1 red, 2 if the run itself failed.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from locustfiles.agree import WINDOW_SECONDS
from locustfiles.agreement import Human, Maker
from locustfiles.checks import MOST_TIMES
from locustfiles.client import Client
from locustfiles.judge import judge, show

ROOT = Path(__file__).parent.parent
DIRECTORY = Path("var/load")
START_SECONDS = 180


class Site:
    """The directory of one run's database, models and reports."""

    def __init__(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory = directory.absolute()
        self.environment = dict(os.environ) | {
            "ADYTON_DATABASE_URL": f"sqlite:///{self.directory}/adyton.db",
            "ADYTON_MODELS_DIR": str(self.directory / "models"),
            "ADYTON_SECRET": secrets.token_hex(32),
            "ADYTON_ANCHOR_FILE": str(self.directory / "anchor.ndjson"),
            "ADYTON_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }

    def cli(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "cli", *arguments, "--json"]
        run = subprocess.run(command, cwd=self.directory, env=self.environment, check=True, capture_output=True)
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    def prepare(self) -> dict[str, Human]:
        """Makes the database, the models, an admin and an auditor; their passwords were set for them."""
        self.cli("db", "upgrade")
        self.cli("models", "bundled")
        made = {}
        for role in ("admin", "auditor"):
            shown = self.cli("users", "create", f"{role}@example.com", "--role", role)
            made[role] = Human(shown["email"], shown["password"])
        return made


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The address of a server of the site."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=site.directory, env=site.environment)
    try:
        _wait(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def settle(url: str, people: dict[str, Human]) -> dict[str, Human]:
    """Has each of them choose a password of their own, as they must."""
    settled = {}
    for role, human in people.items():
        password = secrets.token_hex(16)
        body = {"current_password": human.password, "new_password": password}
        Client.signed_in(url, human).json("POST", "/auth/password", body)
        settled[role] = Human(human.email, password)
    return settled


def load(directory: Path, url: str, options: list[str]) -> int:
    """Runs Locust without a window, with the directory's agreement; returns its exit code."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles/locustfile.py"), "--headless"]
    command += ["--only-summary", "--host", url, "--stop-timeout", "20", "--loglevel", "WARNING"]
    command += ["--html", str(directory / "report.html"), "--json-file", str(directory / "report")]
    command += ["--agreement", str(directory / "agreement.json"), "--answers", str(directory / "answers.ndjson")]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    with (directory / "locust.log").open("wb") as output:
        run = subprocess.run(command + options, env=environment, check=False, stdout=output, stderr=output)
    return run.returncode


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")


def main() -> int:
    """Runs all of it, and says where the reports are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alone", type=float, default=10, help="seconds of the quiet tenant alone")
    parser.add_argument("--beside", type=float, default=25, help="seconds of everybody")
    parser.add_argument("--window", type=int, default=WINDOW_SECONDS, help="seconds of each limit's window")
    parser.add_argument("--rate", type=float, default=1.0, help="times the rates of arrivals")
    parser.add_argument("--greedy-users", type=int, default=2, help="users of each limit, in a closed loop")
    parser.add_argument("--processes", type=int, default=1, help="processes of Locust")
    parser.add_argument("--most-times", type=float, default=MOST_TIMES, help="a quiet p95 beside others, to that alone")
    options = parser.parse_args()
    site = Site(DIRECTORY)
    people = site.prepare()
    with serving(site) as url:
        Maker(url, settle(url, people), window_seconds=options.window).make().write(site.directory / "agreement.json")
        arguments = ["--alone-seconds", str(options.alone), "--beside-seconds", str(options.beside)]
        arguments += ["--rate", str(options.rate), "--greedy-users", str(options.greedy_users)]
        if options.processes > 1:
            arguments += ["--processes", str(options.processes)]
        if code := load(site.directory, url, arguments):
            print((site.directory / "locust.log").read_text())
            return code
        judgement = judge(site.directory, url, most_times=options.most_times)
    show(judgement)
    word = "GREEN" if judgement["green"] else "RED"
    print(f"{word}: {DIRECTORY}/judgement.html says why, and {DIRECTORY}/report.html is Locust's own report")
    return 0 if judgement["green"] else 1


if __name__ == "__main__":
    sys.exit(main())
