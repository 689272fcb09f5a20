"""Queries that are stopped in the database, at their deadline or because nobody waits for them any more."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from db.database import Database, DatabaseUnavailable
from db.reach import EVERY_TENANT
from db.stopping import Stop, Stopped

#: Would take hours.
ENDLESS = {
    True: "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000000000) SELECT max(x) FROM n",
    False: "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b",
}


@pytest.fixture
def database(empty_database_url):
    database = Database(empty_database_url, connections=1)
    yield database
    database.dispose()


def ask_endlessly(database, stop):
    with database.reading(EVERY_TENANT, stop) as session:
        session.execute(text(ENDLESS[database.is_sqlite]))


def assert_is_usable(database):
    """The same connection, without anything of the reading before."""
    with database.reading(EVERY_TENANT) as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
        if not database.is_sqlite:
            assert session.execute(text("SHOW statement_timeout")).scalar() == "30s"
        else:
            counted = (
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000) SELECT max(x) FROM n"
            )
            assert session.execute(text(counted)).scalar() == 300_000


def test_a_query_ends_at_its_deadline(database):
    """As a fact of its own, and not as a database that is away."""
    with pytest.raises(Stopped):
        ask_endlessly(database, Stop(0.2))
    assert_is_usable(database)


def test_a_query_ends_when_it_is_called_off(database):
    """From another thread, long before its deadline."""
    stop, ended = Stop(600), threading.Event()

    def ask():
        with pytest.raises(Stopped):
            ask_endlessly(database, stop)
        ended.set()

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 60
    while database.engine.pool.checkedout() == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.call()
    while not ended.is_set() and time.monotonic() < deadline:
        # A cancellation that comes before PostgreSQL has begun is for nothing.
        stop.tell_server()
        time.sleep(0.05)
    thread.join(60)
    assert ended.is_set()
    assert_is_usable(database)


def test_nothing_is_asked_when_the_time_is_up_already(database):
    """A caller that waited too long for its turn costs no query."""
    with pytest.raises(Stopped), database.reading(EVERY_TENANT, Stop(0)):
        pytest.fail("a session was given")
    assert_is_usable(database)


def test_a_database_that_is_away_stays_what_it_is():
    """While there is time."""
    away = Database("postgresql+psycopg://u:pw@127.0.0.1:1/x")
    with pytest.raises(DatabaseUnavailable), away.reading(EVERY_TENANT, Stop(60)):
        pass
