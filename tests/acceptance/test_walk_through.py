"""docs/operations.md goes from nothing to production, command by command: its own text runs here."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.ports import free_port
from tests.support.postgres import Postgres, find_binaries

ROOT = Path(__file__).parents[2]
SECTION = "## From nothing to production: PostgreSQL, Redis and two workers"


@pytest.fixture
def tools():
    """What the section calls beside the program."""
    missing = [name for name in ("psql", "openssl", "curl") if shutil.which(name) is None]
    if missing and "walk-through" in os.environ.get("ADYTON_TEST_REQUIRE", "").split(","):
        pytest.fail(f"ADYTON_TEST_REQUIRE names walk-through, and {missing} are not installed")
    if missing:
        pytest.skip(f"walk-through: {missing} are not installed")


@pytest.fixture
def own_postgres(postgres):  # noqa: ARG001  skips where there is none
    """A server of its own: roles belong to a whole server, and other tests' databases have made them."""
    server = Postgres(find_binaries())
    yield server
    server.close()


def commands() -> str:
    """Every command of the section, in its order."""
    section = (ROOT / "docs/operations.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    return "".join(blocks)


def with_(script: str, name: str, value: object) -> str:
    """The script with another value for a variable that it sets."""
    changed, count = re.subn(rf"\b{name}=\S+", f"{name}={value}", script, count=1)
    assert count == 1, name
    return changed


def test_the_document_goes_from_nothing_to_production(tools, own_postgres, redis, tmp_path):  # noqa: ARG001  what it calls
    """PostgreSQL, Redis and two workers: each command succeeds, and the prediction is in the log."""
    script = commands()
    for name, value in (("PGPORT", own_postgres.port), ("ADYTON_REDIS_URL", redis.url), ("PORT", free_port())):
        script = with_(script, name, value)
    program = tmp_path / "bin/adyton"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli "$@"\n')
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ADYTON_", "PG"))}
    environment |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    # A command that fails ends the script, and must end the server too: it holds the output open.
    script = "trap 'kill ${SERVER:-} 2> /dev/null || true' EXIT\n" + script
    run = processes.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, seconds=300)
    log = (tmp_path / "adyton.log").read_text() if (tmp_path / "adyton.log").exists() else ""
    assert run.returncode == 0, (run.stdout, run.stderr, log[-2000:])
    answer = json.JSONDecoder().raw_decode(run.stdout[run.stdout.index('{"request_id"') :])[0]
    assert answer["prediction"] == "setosa"
    assert run.stdout.count(answer["request_id"]) == 2, "in the answer, and in the log"
    assert (tmp_path / "adyton.secret").stat().st_mode & 0o077 == 0
