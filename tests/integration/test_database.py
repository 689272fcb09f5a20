"""Transactions, pragmas and the change counter, on real databases."""

from __future__ import annotations

import threading
from typing import get_args

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

import migrations
from db.changes import KEPT, Kind, announce, forget_changes, latest, since
from db.database import Database, DatabaseUnavailable
from db.reach import EVERY_TENANT, NO_TENANT
from db.tables import Change, ChangeCounter
from values.ids import instant_of, uuid7
from values.instants import instant, now_ms


@pytest.fixture
def database(empty_database_url):
    database = Database(empty_database_url)
    migrations.upgrade(database)
    yield database
    database.dispose()


def test_a_block_that_raises_changes_nothing(database):
    """All of a transaction or none of it."""
    with pytest.raises(RuntimeError), database.transaction(EVERY_TENANT) as session:
        announce(session, "key", "k")
        raise RuntimeError
    with database.reading(EVERY_TENANT) as session:
        assert latest(session) == 0


def test_many_announcers_at_once_are_numbered_in_the_order_of_their_commits(database):
    """No number twice, none missing: whoever reads N has seen everything up to N."""

    def work():
        for _ in range(20):
            with database.transaction(EVERY_TENANT) as session:
                announce(session, "tenant", threading.current_thread().name)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading(EVERY_TENANT) as session:
        assert latest(session) == 100
        assert [change.number for change in since(session, 40)] == list(range(41, 101))


def test_old_changes_are_forgotten_and_whoever_has_not_read_them_forgets_everything(database):
    """The last ones are kept; where some are missing, one of every kind stands for them."""
    with database.transaction(NO_TENANT) as session:
        session.execute(update(ChangeCounter).values(value=KEPT))
        session.add_all(Change(number=number, kind="key", object_id="k") for number in range(1, KEPT + 1))
    for _ in range(3):
        with database.transaction(EVERY_TENANT) as session:
            announce(session, "tenant", "t")
    with database.transaction(NO_TENANT) as session:
        forget_changes(session)
    with database.reading(NO_TENANT) as session:
        kept = list(session.scalars(select(Change.number).order_by(Change.number)))
        assert (kept[0], kept[-1], len(kept)) == (4, KEPT + 3, KEPT)
        for number in (3, 4, KEPT + 2):
            assert [change.number for change in since(session, number)] == list(range(number + 1, KEPT + 4))
        assert since(session, KEPT + 3) == []
        for number in (0, 2):
            missed = since(session, number)
            assert [change.number for change in missed if change.number > 3] == kept
            assert {change.kind for change in missed if change.number == 3} == set(get_args(Kind))


def test_sqlite_is_durable_and_keeps_foreign_keys(tmp_path):
    """WAL, full synchronisation, foreign keys and a busy timeout, on every connection."""
    database = Database(f"sqlite:///{tmp_path}/x.db")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    with database.reading(EVERY_TENANT) as session:
        assert {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in wanted} == wanted


def test_an_unreachable_database_is_one_fact():
    """Whatever the driver says, without its words."""
    with (
        pytest.raises(DatabaseUnavailable) as error,
        Database("postgresql+psycopg://u:pw@127.0.0.1:1/x").reading(EVERY_TENANT),
    ):
        pass
    assert "pw" not in str(error.value)


def test_a_fault_of_ours_is_not_called_an_outage(database):
    """A broken rule of the schema stays what it is."""
    with pytest.raises(IntegrityError) as error, database.transaction(EVERY_TENANT) as session:
        session.execute(text("INSERT INTO change_counter (id, value) VALUES (:id, 0)"), {"id": 7311})
    assert "7311" not in str(error.value).partition("DETAIL")[0]


def test_ids_sort_by_the_millisecond_and_do_not_repeat():
    """UUIDv7, as RFC 9562 lays it out."""
    ids = [uuid7(1_700_000_000_000 + place // 100) for place in range(10_000)]
    assert len(set(ids)) == 10_000
    assert sorted(ids, key=lambda each: each[:13]) == ids
    assert all(each[14] == "7" and each[19] in "89ab" and len(each) == 36 for each in ids)
    now = now_ms()
    assert instant_of(uuid7(now)) == instant(now)
