"""`make load`: starts a server, agrees on limits for keys, runs Locust without a window, and judges the run.

    python -m locustfiles.run [--seconds 35] [--users 40]

All files are under ./var/load; the report is ./var/load/report.html. The exit code is the judgement's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DIRECTORY = Path("var/load")
WINDOW_SECONDS = 10


class Site:
    """The directory of one run's database, models and report."""

    def __init__(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory = directory.absolute()
        self.environment = dict(os.environ) | {
            "ADYTON_DATABASE_URL": f"sqlite:///{self.directory}/adyton.db",
            "ADYTON_MODELS_DIR": str(self.directory / "models"),
            "ADYTON_SECRET": "load tests: an unused secret, long enough",
            "ADYTON_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }
        self.agreement = self.directory / "agreement.json"

    def cli(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "cli", *arguments, "--json"]
        run = subprocess.run(command, cwd=self.directory, env=self.environment, check=True, capture_output=True)
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    def agree(self) -> None:
        """Makes tenants and keys, and writes the agreed limits down."""
        self.cli("db", "upgrade")
        self.cli("models", "bundled")
        self.cli(
            "plans", "set", "wide", "--limit", "1000000/minute", "--rows", "1000000/minute", "--concurrency", "500"
        )
        window = f"{WINDOW_SECONDS} seconds"
        keys: dict[str, list[tuple[str, str]]] = {}
        self.cli("tenants", "create", "partners", "--plan", "wide")
        keys["single"] = [self._key("partners", "single", "--limit", f"300/{window}")]
        keys["batch"] = [self._key("partners", "batch", "--rows", f"4000/{window}")]
        for name, amount in (("first", 200), ("second", 350)):
            self.cli("tenants", "create", name, "--plan", "wide", "--limit", f"{amount}/{window}")
            keys[name] = [self._key(name, f"{name}-{number}") for number in (1, 2)]
        limits = [
            _limit("single", ["single"], "requests", 300),
            _limit("batch", ["batch"], "rows", 4000),
            _limit("first tenant", ["first-1", "first-2"], "requests", 200),
            _limit("second tenant", ["second-1", "second-2"], "requests", 350),
        ]
        self.agreement.write_text(json.dumps({"keys": keys, "limits": limits}))

    def _key(self, tenant: str, label: str, *limits: str) -> tuple[str, str]:
        return label, self.cli("keys", "create", "--tenant", tenant, "--label", label, *limits)["key"]


def load(site: Site, *, seconds: int, users: int) -> int:
    """Serves the site, loads it for so many seconds, and returns the judgement: 0 if all is well."""
    port = _free_port()
    command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=site.directory, env=site.environment)
    try:
        _wait(port)
        locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles/locustfile.py")]
        locust += ["--headless", "--only-summary", "--host", f"http://127.0.0.1:{port}"]
        locust += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
        locust += ["--html", str(site.directory / "report.html"), "--agreement", str(site.agreement)]
        return subprocess.run(locust, env=site.environment, check=False).returncode
    finally:
        server.terminate()
        server.wait(40)


def _limit(name: str, keys: list[str], unit: str, amount: int) -> dict[str, Any]:
    return {"name": name, "keys": keys, "unit": unit, "amount": amount, "window_seconds": WINDOW_SECONDS}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")


def main() -> int:
    """Runs the load test, and prints where the report is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=35)
    parser.add_argument("--users", type=int, default=40)
    options = parser.parse_args()
    site = Site(DIRECTORY)
    site.agree()
    code = load(site, seconds=options.seconds, users=options.users)
    print(f"{'GREEN' if code == 0 else 'RED'}: the report is {DIRECTORY}/report.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
