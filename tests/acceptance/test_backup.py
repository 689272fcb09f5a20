"""The backups that docs/operations.md describes: its very commands, while predictions are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.log import assert_holds
from tests.support.postgres import OWNER, PROGRAM, find_binaries
from tests.support.server import run_cli
from tests.support.site import Site
from tests.support.traffic import Traffic

pytestmark = pytest.mark.alone
PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def snippets(heading: str, language: str) -> list[str]:
    """The code of that language in one section of the page."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found
    return found


def test_a_sqlite_database_is_copied_while_it_is_written(site, serve, tmp_path):
    """It ends, nobody else can read the copy, and the copy holds every answer from before it began."""
    server, key = serve(site), site.key()
    (tmp_path / "backup.py").write_text(snippets("On SQLite", "python")[0])
    copy = tmp_path / "copy.db"
    with Traffic(server.port, key, connections=8) as traffic:
        traffic.wait_for(300, 60)
        before = list(traffic.answered)
        command = [sys.executable, tmp_path / "backup.py", site.database.path, copy]
        subprocess.run(command, check=True, timeout=300)
        traffic.wait_for(len(traffic.answered) + 100, 60)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0, "it replaces an older copy"
    server.kill()
    restored = site.copy_to(tmp_path / "restored")
    restored.close()
    for file in (tmp_path / "restored").glob("adyton.db*"):
        file.unlink()
    copy.rename(tmp_path / "restored/adyton.db")
    assert_holds(restored.database, before)
    again = serve(restored)
    with Traffic(again.port, key, connections=2) as traffic:
        traffic.wait_for(10, 60)
    again.kill()
    restored.close()


def run_shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{find_binaries()}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", script], cwd=folder, env={"PATH": path} | environment, text=True, capture_output=True,
        check=False,
    )  # fmt: skip


def test_a_postgresql_database_is_dumped_by_a_role_that_may_only_read(postgres, postgres_site, serve, tmp_path):
    """As the documented role; as the program's and the owner's it is refused. The restored log verifies."""
    dump, restore = snippets("On PostgreSQL", "sh")
    url = postgres_site.database.url.set(drivername="postgresql", username="adyton_backup")
    for statement in snippets("On PostgreSQL", "sql")[0].split(";")[:-1]:
        postgres.execute(statement)
    backup_url, database = url.render_as_string(), url.database
    server, key = serve(postgres_site), postgres_site.key()
    with Traffic(server.port, key, connections=8) as traffic:
        traffic.wait_for(300, 60)
        before = list(traffic.answered)
        run = run_shell(dump, tmp_path, BACKUP_URL=backup_url)
        assert run.returncode == 0, run.stderr
        traffic.wait_for(len(traffic.answered) + 50, 60)
    server.kill()
    assert (tmp_path / "adyton.dump").stat().st_mode & 0o777 == 0o600
    for role in (PROGRAM, OWNER):
        refused = run_shell(dump, tmp_path, BACKUP_URL=url.set(username=role).render_as_string())
        assert refused.returncode != 0
        assert "row-level security" in refused.stderr or "permission denied" in refused.stderr
    run_shell(dump, tmp_path, BACKUP_URL=backup_url)
    with psycopg.connect(backup_url) as connection, pytest.raises(psycopg.Error):
        connection.execute("DELETE FROM prediction_records")

    program_url, owner_url = postgres.new_isolated_database()
    run = run_shell(restore, tmp_path, OWNER_URL=owner_url.replace("+psycopg", ""))
    assert run.returncode == 0, run.stderr
    restored = Site(tmp_path / "restored", program_url, owner_url)
    assert_holds(restored.database, before)
    assert database != restored.database.url.database
    check = run_cli(restored, "db", "check")
    assert check.returncode == 0, check.stderr
    restored.close()
