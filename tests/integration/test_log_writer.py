"""The writer, with a store that loses its commits' answers; and what an altered log looks like."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import select, text

from audit.chain import LogPosition
from audit.record import ANSWERED, Record
from audit.verification import faults
from audit.waiting import LogUnavailable
from audit.writer import LogWriter
from db.database import DatabaseUnavailable
from db.log_store import LogStore
from db.reach import EVERY_TENANT
from db.tables import PredictionRecord
from tests.support.log import assert_holds
from tests.support.patience import SECONDS, until
from tests.support.site import IRIS
from values.ids import uuid7
from values.instants import instant, now_ms

pytestmark = pytest.mark.anyio


class Forgetful(LogStore):
    """A connection that dies at a commit, before or after the database has made it durable."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.dies = None
        #: A commit that dies slowly has begun, and goes on when it may.
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def append(self, rows, batch):
        dies, self.dies = self.dies, None
        if dies in ("slowly", "slowly then before"):
            self.has_begun.set()
            self.may_go_on.wait(SECONDS)
        if dies in ("before", "slowly then before"):
            raise DatabaseUnavailable("died")
        super().append(rows, batch)
        if dies == "after":
            raise DatabaseUnavailable("died")


def record(outcome=ANSWERED) -> Record:
    at_ms = now_ms()
    return Record(uuid7(at_ms), at_ms, uuid7(), "key:test", "k" * 12, "/predict", outcome, 200, time.perf_counter(),
                  inputs='[{"x":1}]', outputs='[{"prediction":2}]', rows=1, charged_requests=1, charged_rows=1,
                  fingerprint="f" * 64)  # fmt: skip


@pytest.fixture
def writer(any_site):
    return LogWriter(any_site.database, Forgetful(any_site.database))


async def outcomes(database):
    with database.reading(EVERY_TENANT) as session:
        query = "SELECT CAST(request_id AS TEXT), outcome FROM prediction_records ORDER BY at, batch_number"
        return [(request_id.replace("-", ""), outcome) for request_id, outcome in session.execute(text(query))]


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_commit_whose_fate_is_unknown_is_settled(any_site, writer, dies):
    """Nobody gets an answer; what had landed all the same is withdrawn; nothing is written twice."""
    writer.start(asyncio.get_running_loop())
    first, second, third = record(), record(), record()
    await writer.append(first)
    writer._store.dies = dies
    with pytest.raises(LogUnavailable):
        await writer.append(second)
    while not await writer.probe():
        await asyncio.sleep(0.05)
    await writer.append(third)
    await asyncio.to_thread(writer.close, SECONDS)
    found = await outcomes(any_site.database)
    wanted = [(first.request_id, "answered")]
    wanted += [(second.request_id, "answered"), (second.request_id, "withdrawn")] if dies == "after" else []
    wanted += [(third.request_id, "answered")]
    assert sorted(found) == sorted((request_id.replace("-", ""), outcome) for request_id, outcome in wanted)
    assert_holds(any_site.database, [first.request_id, third.request_id])


async def test_whoever_appends_a_record_is_told_where_it_went(any_site, writer):
    """Chain, batch and leaf are those under which it is stored, also for those who were written together."""
    writer.start(asyncio.get_running_loop())
    places = {}

    async def append():
        made = record()
        places[made.request_id] = await writer.append(made)

    for _ in range(3):
        writer.note(record("refused:test"))
        await asyncio.gather(*(append() for _ in range(20)))
    await asyncio.to_thread(writer.close, 10)
    with any_site.database.reading(EVERY_TENANT) as session:
        stored = {each.request_id: LogPosition(each.chain_id, each.batch_number, each.leaf_index)
                  for each in session.scalars(select(PredictionRecord)) if each.outcome == ANSWERED}  # fmt: skip
    assert len(places) == 60
    assert places == stored
    assert max(place.leaf_index for place in places.values()) > 0, "nobody was written together"


async def test_whoever_gives_up_waiting_is_withdrawn(any_site, writer):
    """A caller that was told 503 for taking too long has no answer in the log."""
    writer.start(asyncio.get_running_loop())
    abandoned = record()
    writer._store.dies = "slowly"
    task = asyncio.ensure_future(writer.append(abandoned))
    await asyncio.to_thread(writer._store.has_begun.wait, SECONDS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    writer._store.may_go_on.set()
    await asyncio.to_thread(writer.close, SECONDS)
    assert [outcome for _, outcome in await outcomes(any_site.database)] == ["answered", "withdrawn"]
    assert not list(faults(any_site.database))


async def test_whoever_gives_up_before_the_writer_looks_is_taken_back(any_site, writer):
    """Nothing of it is written, and nothing of it is missing."""
    writer.start(asyncio.get_running_loop())
    writer._store.dies = "slowly"
    first = asyncio.ensure_future(writer.append(record()))
    await asyncio.to_thread(writer._store.has_begun.wait, SECONDS)
    second = asyncio.ensure_future(writer.append(record()))
    await asyncio.sleep(0)
    second.cancel()
    writer._store.may_go_on.set()
    await first
    await asyncio.to_thread(writer.close, SECONDS)
    assert [outcome for _, outcome in await outcomes(any_site.database)] == ["answered"]
    assert not list(faults(any_site.database))


async def test_a_charge_that_stands_is_in_the_log_whatever_becomes_of_its_answer(any_site, writer):
    """A caller who hangs up before the writer looks is recorded and withdrawn, and the sum is what stands charged."""
    writer.start(asyncio.get_running_loop())
    writer._store.dies = "slowly"
    first = asyncio.ensure_future(writer.append(record()))
    await asyncio.to_thread(writer._store.has_begun.wait, SECONDS)
    hung_up = asyncio.ensure_future(writer.append(record(), lambda: False))
    late = asyncio.ensure_future(writer.append(record(), lambda: True))
    await asyncio.sleep(0)
    hung_up.cancel()
    late.cancel()
    writer._store.may_go_on.set()
    await first
    await asyncio.to_thread(writer.close, SECONDS)
    with any_site.database.reading(EVERY_TENANT) as session:
        found = session.scalars(select(PredictionRecord).order_by(PredictionRecord.batch_number)).all()
    assert [(each.outcome, each.charged_requests) for each in found] == [
        ("answered", 1), ("answered", 1), ("withdrawn", 0)
    ]  # fmt: skip
    assert not list(faults(any_site.database))


async def test_a_charge_that_stands_outlives_an_outage(any_site, writer):
    """The commit was lost on which a caller had hung up: their record and its withdrawal are written when it is back."""
    writer.start(asyncio.get_running_loop())
    writer._store.dies = "slowly then before"
    hung_up = asyncio.ensure_future(writer.append(record(), lambda: False))
    await asyncio.to_thread(writer._store.has_begun.wait, SECONDS)
    hung_up.cancel()
    await asyncio.gather(hung_up, return_exceptions=True)
    writer._store.may_go_on.set()
    while not await writer.probe():
        await asyncio.sleep(0.05)
    await asyncio.to_thread(writer.close, SECONDS)
    with any_site.database.reading(EVERY_TENANT) as session:
        found = session.scalars(select(PredictionRecord)).all()
    assert sorted((each.outcome, each.charged_requests) for each in found) == [("answered", 1), ("withdrawn", 0)]
    assert not list(faults(any_site.database))


async def test_a_record_that_cannot_be_written_keeps_nobody_out(any_site, writer):
    """Neither one that cannot be sealed, nor one that the database will not have."""
    writer.start(asyncio.get_running_loop())
    good, odd = record(), record()
    odd.client_request_id = "\ud800"
    results = await asyncio.gather(writer.append(good), writer.append(odd), return_exceptions=True)
    assert [type(result) for result in results] == [LogPosition, LogUnavailable]
    twice = record("refused:test")
    twice.at_ms, twice.request_id = good.at_ms, good.request_id
    writer.note(twice)
    await writer.flush()
    while not await writer.probe():
        await asyncio.sleep(0.05)
    last = record()
    await writer.append(last)
    await asyncio.to_thread(writer.close, SECONDS)
    assert_holds(any_site.database, [good.request_id, last.request_id])


async def test_refusals_outlive_an_outage(any_site, writer):
    """What was noted while the log was away is written when it is back."""
    writer.start(asyncio.get_running_loop())
    writer._store.dies = "before"
    with pytest.raises(LogUnavailable):
        await writer.append(record())
    writer.note(record("refused:test"))
    writer.note(record("refused:test"))
    while not await writer.probe():
        await asyncio.sleep(0.05)
    await writer.flush()
    await asyncio.to_thread(writer.close, SECONDS)
    assert [outcome for _, outcome in await outcomes(any_site.database)] == ["refused:test"]
    assert not list(faults(any_site.database))


async def test_a_new_writers_chain_cites_the_ones_before(any_site):
    """A chain that is cut off whole is missed."""
    for _ in range(3):
        writer = LogWriter(any_site.database)
        writer.start(asyncio.get_running_loop())
        await asyncio.gather(*(writer.append(record()) for _ in range(5)))
        await asyncio.to_thread(writer.close, SECONDS)
    assert not list(faults(any_site.database))
    with any_site.owner.transaction(EVERY_TENANT) as session:
        first = session.execute(text("SELECT id FROM chains ORDER BY started_at LIMIT 1")).scalar()
        for table, column in (("prediction_records", "chain_id"), ("batches", "chain_id"), ("chains", "id")):
            session.execute(text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": first})
    assert any("cited" in fault for fault in faults(any_site.database))


ALTERATIONS = {
    "an outcome": "UPDATE prediction_records SET outcome = 'failed' WHERE leaf_index = 0",
    "an instant": "UPDATE prediction_records SET latency_us = latency_us + 1 WHERE leaf_index = 0",
    "an input": "UPDATE prediction_records SET inputs = '[]' WHERE leaf_index = 0",
    "an output": "UPDATE prediction_records SET outputs = '[]' WHERE leaf_index = 0",
    "a fingerprint": "UPDATE prediction_records SET fingerprint = NULL WHERE leaf_index = 0",
    "a charge": "UPDATE prediction_records SET charged_rows = 0 WHERE leaf_index = 0",
    "a form": "UPDATE prediction_records SET form = 1 WHERE leaf_index = 0",
    "a form that does not exist": "UPDATE prediction_records SET form = 9 WHERE leaf_index = 0",
    "a leaf": "UPDATE prediction_records SET leaf = inputs_digest WHERE leaf_index = 0",
    "a record less": "DELETE FROM prediction_records WHERE leaf_index = 0",
    "a batch less": "DELETE FROM batches WHERE number = 1",
    "an instant of a batch": "UPDATE batches SET sealed_at = (SELECT started_at FROM chains LIMIT 1) WHERE number = 1",
    "a salt, and an output": "UPDATE prediction_records SET salt = NULL, outputs = '[]' WHERE leaf_index = 0",
    "a record more": "UPDATE prediction_records SET batch_number = 99 WHERE leaf_index = 0 AND batch_number = 2",
    "a root": "UPDATE batches SET root = head WHERE number = 1",
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
async def test_an_altered_log_is_found_out(any_site, alteration):
    """Whatever is changed or taken away."""
    writer = LogWriter(any_site.database)
    writer.start(asyncio.get_running_loop())
    for _ in range(2):
        await asyncio.gather(*(writer.append(record()) for _ in range(3)))
    await asyncio.to_thread(writer.close, SECONDS)
    assert not list(faults(any_site.database))
    with any_site.owner.transaction(EVERY_TENANT) as session:
        session.execute(text(ALTERATIONS[alteration]))
    found = list(faults(any_site.database))
    assert found
    assert alteration != "a form that does not exist" or all("has the form 9" in fault for fault in found)


async def test_what_was_erased_does_not_break_the_seal(any_site):
    """Salt, inputs, outputs, address and fingerprint can go."""
    writer = LogWriter(any_site.database)
    writer.start(asyncio.get_running_loop())
    await writer.append(record())
    await asyncio.to_thread(writer.close, SECONDS)
    with any_site.database.transaction(EVERY_TENANT) as session:
        session.execute(
            text("UPDATE prediction_records SET salt=NULL, inputs=NULL, outputs=NULL, address=NULL, fingerprint=NULL")
        )
    assert not list(faults(any_site.database))


def test_nothing_is_known_of_a_commit_while_its_connection_lives(postgres_site):
    """PostgreSQL may still be busy with a commit whose client is gone: the next connection ends it first."""
    before, after = LogStore(postgres_site.database), LogStore(postgres_site.database)
    chain = uuid7()
    before.start_chain(chain, instant(now_ms()))
    before.touch(chain)
    after._chain_id = chain

    def is_known() -> bool:
        try:
            assert after.last_batch(chain) is None
        except DatabaseUnavailable:
            return False
        return True

    until(is_known)
    with pytest.raises(DatabaseUnavailable):
        before.touch(chain)
    before.close()
    after.close()


def test_a_slow_commit_and_its_refusal_do_not_meet(site, serve):
    """A deadline that passes while the disk is held: 503, one withdrawal, and the next request is answered."""
    server, key = serve(site, ADYTON_REQUEST_TIMEOUT_SECONDS="2"), site.key()
    with server.client(key) as client:
        assert client.post("/predict", json=IRIS).status_code == 200
        with site.database.transaction(EVERY_TENANT):
            late = client.post("/predict", json=IRIS)
        assert late.status_code == 503
        until(lambda: client.post("/predict", json=IRIS).status_code == 200)
        answer = client.post("/predict", json=IRIS)
        record_of_late = client.get(f"/audit/predictions/{late.json()['request_id']}")
    assert answer.status_code == 200
    assert record_of_late.status_code == 404 or record_of_late.json()["outcome"] == "withdrawn"
    assert record_of_late.status_code == 404 or record_of_late.json()["charged_requests"] == -1
    assert_holds(site.database, [answer.json()["request_id"]])


async def test_a_checkpoint_that_fails_takes_no_answer_back(site):
    """The group is durable: its answer leaves."""

    class FullAfterwards(LogStore):
        def bound_wal(self):
            raise DatabaseUnavailable("full")

    writer = LogWriter(site.database, FullAfterwards(site.database))
    writer.start(asyncio.get_running_loop())
    written = record()
    await writer.append(written)
    await asyncio.to_thread(writer.close, SECONDS)
    assert_holds(site.database, [written.request_id])
