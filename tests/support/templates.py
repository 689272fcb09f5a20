"""Installations to copy: models are trained and examined once for all tests of a day, whichever process runs them."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from sqlalchemy import insert, select

from db.database import Database
from db.tables import Base
from tests.support.postgres import OWNER
from tests.support.site import Site

ROOT = Path(__file__).parents[2]


def make_template(cache: Path, directory: Path) -> Site:
    """A prepared installation on SQLite; made anew where code, libraries or the day have changed since the last one."""
    with _locked(cache / "lock"):
        made, wanted = cache / "site", _fingerprint()
        label = cache / "made-by"
        if not label.exists() or label.read_text() != wanted:
            label.unlink(missing_ok=True)
            shutil.rmtree(made, ignore_errors=True)
            Site(made).prepare().close()
            label.write_text(wanted)
        shutil.copytree(made, directory)
    return Site(directory)


def fill(site: Site, template: Site) -> Site:
    """The same installation on PostgreSQL: its schema made by the migrations, its rows and files copied."""
    site.upgrade()
    shutil.copytree(template.settings.models_dir, site.settings.models_dir)
    tables = Base.metadata.sorted_tables
    unconfined = Database(site.settings.database_owner_url.replace(OWNER, "postgres"))
    with template.owner.engine.connect() as source, unconfined.engine.begin() as target:
        for table in reversed(tables):
            target.execute(table.delete())
        for table in tables:
            rows = [row._asdict() for row in source.execute(select(table))]
            if rows:
                target.execute(insert(table), rows)
    unconfined.dispose()
    return site


@contextmanager
def _locked(path: Path):
    """For one process at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fingerprint() -> str:
    """Of all that decides what a prepared installation holds."""
    found = hashlib.sha256(f"{sys.version} {datetime.now(UTC):%Y-%m-%d}".encode())
    libraries = sorted(f"{each.name} {each.version}" for each in distributions())
    sources = sorted(path for room in ROOT.glob("*/__init__.py") for path in room.parent.rglob("*.py"))
    for each in (*libraries, *(path.read_text() for path in [*sources, Path(__file__).with_name("site.py")])):
        found.update(each.encode())
    return found.hexdigest()
