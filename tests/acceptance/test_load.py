"""The load test judges rightly: green on what was agreed, red when a limit was raised behind its back."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
from sqlalchemy import text

from db.database import Database
from db.reach import EVERY_TENANT
from locustfiles.ledger import Admitted, Ledger, Limit
from locustfiles.run import Site, load
from tests.support import commands


@pytest.fixture(scope="module")
def agreed(tmp_path_factory):
    """A place whose tenants and keys have been promised their limits."""
    site = Site(tmp_path_factory.mktemp("agreed") / "load")
    site.agree()
    return site


@pytest.mark.alone
@pytest.mark.parametrize(
    ("statement", "green"), [(None, True), ("UPDATE policies SET amount = amount * 3 WHERE name LIKE 'key-%'", False)]
)
def test_load_is_green_as_agreed_and_red_when_a_limit_was_raised_in_the_database(agreed, tmp_path, statement, green):
    """By nobody but the database itself."""
    site = Site(tmp_path / "load")
    shutil.copytree(agreed.directory, site.directory, dirs_exist_ok=True)
    if statement:
        database = Database(site.environment["ADYTON_DATABASE_URL"])
        with database.transaction(EVERY_TENANT) as session:
            assert session.execute(text(statement)).rowcount == 2
        database.dispose()
    code = commands.result(commands.Forked(partial(load, seconds=12, users=24), site))
    assert (code == 0) is green
    assert "<html" in (site.directory / "report.html").read_text()[:500].lower()


def test_the_ledger_counts_only_what_was_certainly_within_a_window():
    """Three at once of two allowed is a fault; three of which one may have been outside is not."""
    limit = Limit("x", ["k"], "requests", 2, 10)
    guilty, honest = Ledger(), Ledger()
    for sent in (0.0, 5.0, 9.0):
        guilty.note("k", 200, Admitted(sent, sent + 0.5, 1))
        honest.note("k", 200, Admitted(sent, sent + 1.5, 1))
    for ledger in (guilty, honest):
        ledger.note("k", 429, Admitted(9.0, 9.1, 1))
    assert len(list(guilty.verdict([limit]))) == 1
    assert list(honest.verdict([limit])) == []


def test_an_error_or_a_limit_that_was_never_reached_is_a_fault():
    """A run that shows nothing is not green."""
    limit = Limit("x", ["k"], "rows", 100, 10)
    ledger = Ledger()
    ledger.note("k", 200, Admitted(0, 1, 50))
    assert "never reached" in next(ledger.verdict([limit]))
    ledger.note("k", 503, Admitted(0, 1, 50))
    assert "503" in next(ledger.verdict([limit]))
