"""The plans of every query on the prediction log, on both engines: an index where there is one, and no scan unseen.

The tables hold enough rows that a plan matters, and the planner knows how many.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

import migrations
from audit.verification import faults
from db.database import Database
from db.log_hours import Piece, chains_behind, next_piece, sums_between, sums_of
from db.log_store import LogStore
from db.prediction_log import (
    Filters,
    batches_of,
    chains,
    count_records,
    erase_contents,
    find_record,
    is_in_log,
    records_of_batch,
    search,
)
from db.reach import EVERY_TENANT
from db.spendings import Group, Span, is_large, spent_within
from db.stopping import Stop
from db.tables import Batch
from values.ids import uuid7
from values.instants import instant, ms_of

TENANTS, CHAINS, BATCH, COUNT, EMPTY_BATCHES = 40, 20, 100, 20_000, 10_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)
LOG_TABLES = ("prediction_records", "batches", "chains")


class Log:
    """A database with a log of twenty thousand records, and what was asked of it."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        migrations.upgrade(self.database)
        self.tenants = [uuid7() for _ in range(TENANTS)]
        self.chains = [uuid7() for _ in range(CHAINS)]
        self.ids = [uuid7(ms_of(NOW) - 60_000 * place) for place in range(COUNT)]
        self._fill()
        self.asked = []
        event.listen(self.database.engine, "before_cursor_execute", self._note)

    def plans(self) -> list[tuple[str, str]]:
        """Each statement on the log that was asked since the last time, and its plan."""
        asked, self.asked = self.asked, []
        found = []
        for statement, parameters in asked:
            if any(table in statement for table in LOG_TABLES):
                found.append((statement, self._plan(statement, parameters)))
        return found

    def _plan(self, statement, parameters) -> str:
        explain = "EXPLAIN QUERY PLAN " if self.database.is_sqlite else "EXPLAIN "
        with self.database.reading(EVERY_TENANT) as session:
            rows = session.connection().exec_driver_sql(explain + statement, parameters).all()
        return "\n".join(str(row[-1]) for row in rows)

    def _note(self, _connection, _cursor, statement, parameters, _context, _many) -> None:
        if re.match(r"SELECT|UPDATE|WITH|INSERT", statement) and "set_config" not in statement:
            self.asked.append((statement, parameters))

    def _fill(self) -> None:
        store = LogStore(self.database)
        for chain in self.chains:
            store.start_chain(chain, NOW - timedelta(days=30))
        for start in range(0, COUNT, BATCH):
            number, chain = start // BATCH // CHAINS + 1, self.chains[start // BATCH % CHAINS]
            rows = [self._row(place, chain, number, place - start) for place in range(start, start + BATCH)]
            store.append(rows, (chain, number, _sql(NOW), BATCH, "0" * 64, "0" * 64))
        with self.database.transaction(EVERY_TENANT) as session:
            session.execute(
                Batch.__table__.insert(),
                [{"chain_id": self.chains[place % CHAINS], "number": 1000 + place, "sealed_at": NOW, "size": 0,
                  "root": "0" * 64, "head": "0" * 64} for place in range(EMPTY_BATCHES)],
            )  # fmt: skip
        with self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        store.close()
        store.end_checkpoints()

    def _row(self, place, chain, number, leaf):
        id_ = self.ids[place]
        outcome = "withdrawn" if place % 1000 == 7 else "answered" if place % 3 else "refused:quota-exceeded"
        return [_sql(instant(ms_of(NOW) - 60_000 * place)), id_, None, self.tenants[place % TENANTS], f"key{place % 400:09}",
                "key:x", uuid7(), uuid7(), "0" * 64, "/predict", 1, 1, outcome, 200, 5000, 3, 1, 1, None, None, 2, "127.0.0.0/24", "0" * 64,
                "0" * 64, "0" * 64, "0" * 64, "0" * 32, "[]", "[]", "0" * 64, chain, number, leaf]  # fmt: skip


def _sql(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.000000")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def log(request, tmp_path_factory):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/log.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    log = Log(url)
    yield log
    log.database.dispose()


#: Each filter by itself.
FILTERS = {
    "nothing": {},
    "key_id": {"key_id": "key000000007"},
    "model_id": {"model_id": uuid7()},
    "version_ids": {"version_ids": [uuid7(), uuid7()]},
    "outcome": {"outcome": "failed"},
    "every refusal": {"outcome": "refused:"},
    "status": {"status": 500},
    "fingerprint": {"fingerprint": "1" * 64},
    "from_at": {"from_at": NOW - timedelta(minutes=30)},
    "to_at": {"to_at": NOW - timedelta(minutes=30)},
    "min_latency_us": {"min_latency_us": 9_000_000},
    "request_id": {},
}
#: For these there is no index yet. A search of every tenant's records reads from the newest on until the page is full,
#: or, where PostgreSQL expects to find few, the months that it is about: scans by design. One tenant's has an index.
UNINDEXED = {"key_id", "model_id", "version_ids", "outcome", "every refusal", "status", "fingerprint", "min_latency_us"}


def scans(plan: str) -> list[str]:
    """The lines of a plan that read a whole table of the log, without or against an index."""
    lines = [line for line in plan.splitlines() if any(table in line for table in LOG_TABLES)]
    # SQLite says SCAN also for walking an index in its order, and then names the index. A partition of a month that
    # has no records costs PostgreSQL nothing, however it is read.
    return [line for line in lines if re.search(r"SCAN (?!.*USING)|Seq Scan", line) and "cost=0.00..0." not in line]


def sorts(plan: str) -> bool:
    """Whether SQLite sorts. PostgreSQL may, where few records are left to be sorted: it knows how many there are."""
    return "TEMP B-TREE" in plan


@pytest.mark.parametrize("after", [False, True], ids=["first page", "later page"])
@pytest.mark.parametrize("reach", ["tenant", "everybody"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_search_walks_an_index_newest_first(log, name, reach, after):
    """It neither reads the whole table nor sorts what it found, whatever is asked."""
    given = FILTERS[name] | ({"request_id": log.ids[70]} if name == "request_id" else {})
    tenant_id = log.tenants[70 % TENANTS] if reach == "tenant" else EVERY_TENANT
    place = (NOW - timedelta(minutes=20), log.ids[20]) if after else None
    with log.database.reading(tenant_id) as session:
        search(
            session,
            Filters(tenant_id=tenant_id, **given),
            limit=100,
            after=place,
            max_characters=1 << 20,
            stop=Stop(60),
        )
    plans = log.plans()
    assert len(plans) == (2 if name == "request_id" else 1)
    for statement, plan in plans:
        is_by_design = name in UNINDEXED and reach == "everybody" and not log.database.is_sqlite
        assert is_by_design or not scans(plan), (statement, plan)
        # A request's withdrawals are sorted, of which there is one.
        assert name == "request_id" or not sorts(plan), (statement, plan)
        if name == "request_id":
            assert_goes_to_the_place(log, plan)
        elif reach == "tenant" and log.database.is_sqlite:
            assert "ix_prediction_records_tenant_id_at_request_id (tenant_id=?" in plan, plan


def assert_goes_to_the_place(log, plan):
    """Both columns of the key, or the index of withdrawals; never one tenant's records from the newest on."""
    if log.database.is_sqlite:
        assert re.search(r"[( ]at=\? AND request_id=\?\)|ix_prediction_records_withdrawn \(request_id=\?\)", plan), plan
    else:
        conditions = re.findall(r"Index Cond: (.*)", plan)
        assert any("request_id = " in condition for condition in conditions), plan
        assert "Filter: (request_id" not in plan


@pytest.mark.parametrize("reach", ["tenant", "everybody"])
@pytest.mark.parametrize("is_known", [True, False])
def test_one_record_is_found_by_its_place(log, reach, is_known):
    """Also by a tenant's key, for an id that is not in the log: twice, since its withdrawal stands elsewhere."""
    tenant_id = log.tenants[70 % TENANTS] if reach == "tenant" else EVERY_TENANT
    request_id = log.ids[70] if is_known else uuid7(ms_of(NOW) - 60_000 * 70)
    with log.database.reading(tenant_id) as session:
        assert (find_record(session, request_id, tenant_id=tenant_id) is not None) is is_known
        assert is_in_log(session, request_id, tenant_id=tenant_id) is is_known
    plans = log.plans()
    assert len(plans) == 4
    for statement, plan in plans:
        assert not scans(plan), (statement, plan)
        assert_goes_to_the_place(log, plan)


def test_an_unknown_id_costs_the_same_in_a_log_of_any_size(log):
    """In steps of SQLite's machine: a tenant's five hundred records are not looked through."""
    if not log.database.is_sqlite:
        pytest.skip("steps are SQLite's")
    steps = []
    tenant_id = log.tenants[70 % TENANTS]
    with log.database.reading(tenant_id) as session:
        session.connection().connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)
        find_record(session, uuid7(ms_of(NOW) - 60_000 * 70), tenant_id=tenant_id)
        session.connection().connection.driver_connection.set_progress_handler(None, 0)
    log.plans()
    assert len(steps) < 500


def test_erasing_finds_a_tenants_records_by_its_index(log):
    """A thousand at a time, and each of them by its key."""
    with log.database.transaction(log.tenants[3]) as session:
        assert erase_contents(session, tenant_id=log.tenants[3], since=NOW - timedelta(days=1), limit=5) == 5
        session.rollback()
    for statement, plan in log.plans():
        assert not scans(plan), (statement, plan)


def test_verification_reads_each_batch_by_its_index_and_everything_once(log):
    """Counting all records, and listing the chains, are scans by design: nothing less would show what is missing."""
    assert next(faults(log.database)), "these records were never sealed"
    with log.database.reading(EVERY_TENANT) as session:
        records_of_batch(session, log.chains[0], 1)
        batches_of(session, log.chains[0])
        count_records(session)
        chains(session)
    seen = set()
    for statement, plan in log.plans():
        if "count(" in statement or "FROM chains" in statement:
            seen.add(statement)
            continue
        assert not scans(plan), (statement, plan)
    assert len(seen) == 2


def test_a_writer_that_starts_looks_at_no_more_than_the_last_batches(log):
    """The chains are scanned, which are as many as there were starts; their batches are not."""
    store = LogStore(log.database)
    chain = uuid7()
    store.start_chain(chain, NOW)
    store.last_batch(chain)
    store.touch(chain)
    store.close()
    store.end_checkpoints()
    plans = log.plans()
    assert len(plans) > 3
    for statement, plan in plans:
        assert not [line for line in scans(plan) if "chains" not in line], (statement, plan)


def test_hours_are_counted_and_read_by_an_index(log):
    """A chain's next batches, their records, and the hours between two of them."""
    with log.database.reading(EVERY_TENANT) as session:
        assert set(chains_behind(session)) == set(log.chains)
        piece = next_piece(session, log.chains[0])
        sums_of(session, Piece(log.chains[0], 3, 5, 200))
        for reach in (log.tenants[0], EVERY_TENANT):
            sums_between(session, ["model_id"], NOW - timedelta(days=1), NOW, tenant_id=reach)
    assert piece.after == 0
    for statement, plan in log.plans():
        # The chains are as many as there were starts.
        assert not [line for line in scans(plan) if "chains" not in line], (statement, plan)


@pytest.mark.parametrize("tenants", [1, 3, 1000])
@pytest.mark.parametrize("is_late", [False, True])
def test_what_was_spent_is_read_by_an_index(log, tenants, is_late):
    """For one tenant, several, and all of them: the records of a span, and no others."""
    end_ms = ms_of(NOW) - 3_600_000
    span = Span(end_ms - 600_000, end_ms, 10_000, ended_ms=end_ms if is_late else None)
    chosen = [*log.tenants, *(uuid7() for _ in range(tenants))][-tenants:] if tenants > 1 else log.tenants[:1]
    with log.database.reading(EVERY_TENANT) as session:
        for group in (Group(by_key=False, by_model=False), Group(by_key=True, by_model=True)):
            list(spent_within(session, span, group, chosen))
            list(spent_within(session, Span(0, end_ms, 3_600_000, is_of_hours=True), group, chosen))
            is_large(session, span)
    for statement, plan in log.plans():
        assert "log_hours" in statement or not scans(plan), (statement, plan)
