"""The log's hours: each record is counted once, whatever fails and whoever counts at the same time."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest
from sqlalchemy import select, text

from audit.hours import sum_up
from audit.record import ANSWERED, Record
from audit.verification import faults
from audit.waiting import LogUnavailable
from audit.writer import LogWriter
from db.database import DatabaseUnavailable
from db.log_hours import BOUNDS_US, add_sums, chains_behind, next_piece, sums_between, sums_of
from db.log_store import LogStore
from db.reach import EVERY_TENANT
from db.tables import LATENCIES, PredictionRecord
from tests.support.hours import recounted_hours, stored_hours
from tests.support.patience import SECONDS
from values.ids import uuid7
from values.instants import instant, now_ms

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
TENANTS, MODELS = [uuid7() for _ in range(3)], [uuid7(), uuid7(), None]
REFUSALS = ("refused:quota-exceeded", "refused:invalid-rows", "failed")


class Unreliable(LogStore):
    """A connection that dies now and then at a commit, before or after the database has made it durable."""

    def __init__(self, database, chance: float = 0.1) -> None:
        super().__init__(database)
        self._random, self._chance = random.Random(7), chance

    def append(self, rows, batch):
        dies = self._random.random()
        if dies < self._chance:
            raise DatabaseUnavailable("died")
        super().append(rows, batch)
        if dies > 1 - self._chance:
            raise DatabaseUnavailable("died")


def record(outcome=ANSWERED, age_ms=0, **others) -> Record:
    at_ms, choice = now_ms() - age_ms, random.choice
    tenant, model = choice(TENANTS), choice(MODELS)
    facts = {"client_request_id": None, "model_id": model, "version_id": model, "rows": choice([1, 1, 40]),
             "latency_us": choice([1, 220, 221, 5_000, 33_000_000, 40_000_000]), "charged_requests": choice([0, 1]),
             "charged_rows": choice([0, 1, 40]), "inputs": "[1]", "outputs": "[2]"}  # fmt: skip
    return Record(uuid7(at_ms), at_ms, tenant, "key:x", f"key-{tenant[-8:]}", "/predict", outcome, 200,
                  time.perf_counter(), **facts | others)  # fmt: skip


async def mixed_run(writer, rounds: int) -> None:
    """Answers, refusals, callers who give up, and records of the last hours."""

    async def append(made, gives_up):
        task = asyncio.ensure_future(writer.append(made, lambda: random.random() < 0.5))
        if gives_up:
            await asyncio.sleep(random.uniform(0, 0.003))
            task.cancel()
        return await asyncio.gather(task, return_exceptions=True)

    for _ in range(rounds):
        for _ in range(3):
            writer.note(record(random.choice(REFUSALS)))
        age_ms = random.choice([0, 0, HOUR_MS, 30 * HOUR_MS])
        await asyncio.gather(*(append(record(age_ms=age_ms), random.random() < 0.2) for _ in range(10)))
        if not writer._is_available:
            while not await writer.probe():
                await asyncio.sleep(0.02)


async def written_by(database, store=None, rounds: int = 1) -> None:
    """A whole life of a writer."""
    writer = LogWriter(database, store)
    writer.start(asyncio.get_running_loop())
    await mixed_run(writer, rounds)
    await asyncio.to_thread(writer.close, SECONDS)


async def test_hours_equal_a_recount_after_a_mixed_run(any_site):
    """Two writers at once lose commits and their answers, while two others count all the time."""
    has_ended = threading.Event()

    def count():
        while not has_ended.is_set():
            sum_up(any_site.database)

    counting = [asyncio.ensure_future(asyncio.to_thread(count)) for _ in range(2)]
    stores = [Unreliable(any_site.database) for _ in range(2)]
    try:
        await asyncio.gather(*(written_by(any_site.database, store, rounds=12) for store in stores))
    finally:
        has_ended.set()
        await asyncio.gather(*counting)
    sum_up(any_site.database)
    with any_site.database.reading(EVERY_TENANT) as session:
        outcomes = set(session.scalars(select(PredictionRecord.outcome)))
        assert not chains_behind(session)
    assert {"answered", "withdrawn", "failed", *REFUSALS} == outcomes
    assert stored_hours(any_site.database) == recounted_hours(any_site.database)
    assert sum_up(any_site.database) == 0
    assert not list(faults(any_site.database))


async def test_a_count_that_dies_before_its_commit_has_counted_nothing(any_site):
    """Neither the sums nor how far they go; the next one counts the same batches."""
    await written_by(any_site.database)
    with any_site.database.reading(EVERY_TENANT) as session:
        (chain_id,) = chains_behind(session)
        piece = next_piece(session, chain_id)
        sums = sums_of(session, piece)
    with pytest.raises(ZeroDivisionError), any_site.database.transaction(EVERY_TENANT) as session:
        assert add_sums(session, piece, sums)
        raise ZeroDivisionError
    assert stored_hours(any_site.database) == {}
    with any_site.database.transaction(EVERY_TENANT) as session:
        assert add_sums(session, piece, sums)
    with any_site.database.transaction(EVERY_TENANT) as session:
        assert not add_sums(session, piece, sums), "the same batches were counted twice"
    assert stored_hours(any_site.database) == recounted_hours(any_site.database)


async def test_hours_outlive_their_records(any_site):
    """Whatever is pruned."""
    await written_by(any_site.database)
    sum_up(any_site.database)
    before = stored_hours(any_site.database)
    with any_site.owner.transaction(EVERY_TENANT) as session:
        session.execute(text("DELETE FROM prediction_records"))
    sum_up(any_site.database)
    assert before
    assert stored_hours(any_site.database) == before


async def test_what_an_answer_was_charged_is_nothing_once_it_is_given_back(any_site):
    """The withdrawal takes back what its record says, in the hour of the request; a caller who hung up stays charged."""
    writer = LogWriter(any_site.database, Unreliable(any_site.database, chance=0))
    writer.start(asyncio.get_running_loop())
    kept = record(charged_requests=1, charged_rows=7, model_id=MODELS[0], version_id=MODELS[0])
    await writer.append(kept)
    given_back = record(charged_requests=1, charged_rows=40, age_ms=2 * HOUR_MS)
    writer._store._chance = 0.5
    while True:
        with pytest.raises(LogUnavailable):
            await writer.append(given_back)
        while not await writer.probe():
            await asyncio.sleep(0.02)
        if "withdrawn" in await outcomes(any_site.database):
            break
        given_back = record(charged_requests=1, charged_rows=40, age_ms=2 * HOUR_MS)
    await asyncio.to_thread(writer.close, SECONDS)
    sum_up(any_site.database)
    with any_site.database.reading(EVERY_TENANT) as session:
        hours = sums_between(session, ["hour"], instant(0), instant(now_ms() + HOUR_MS), tenant_id=EVERY_TENANT)
        of_its_tenant = sums_between(
            session, ["outcome"], instant(0), instant(now_ms() + HOUR_MS), tenant_id=given_back.tenant_id
        )
    assert [(hour.charged_requests, hour.charged_rows) for hour in hours] == [(0, 0), (1, 7)]
    assert {row.outcome for row in of_its_tenant} >= {"answered", "withdrawn"}


async def outcomes(database) -> set[str]:
    with database.reading(EVERY_TENANT) as session:
        return set(session.scalars(select(PredictionRecord.outcome)))


async def test_a_summary_has_the_latencies_of_its_hours(any_site):
    """As many requests in each span as the records have; the bounds grow, and one column counts the rest."""
    assert list(BOUNDS_US) == sorted(set(BOUNDS_US))
    assert len(BOUNDS_US) + 1 == len(LATENCIES)
    writer = LogWriter(any_site.database)
    writer.start(asyncio.get_running_loop())
    of_one = {"tenant_id": TENANTS[0], "model_id": MODELS[0], "version_id": MODELS[1]}
    for latency_us in (1, 220, 221, 33_000_001):
        made = record(latency_us=latency_us, charged_requests=1, rows=3)
        made.tenant_id = of_one["tenant_id"]
        await writer.append(made)
    await asyncio.to_thread(writer.close, SECONDS)
    sum_up(any_site.database)
    with any_site.database.reading(TENANTS[0]) as session:
        (row,) = sums_between(session, [], instant(0), instant(now_ms() + HOUR_MS), tenant_id=TENANTS[0])
        others = sums_between(session, ["model_id"], instant(0), instant(now_ms()), tenant_id=TENANTS[1])
    assert (row.requests, row.rows, row.charged_requests) == (4, 12, 4)
    assert (row.latency_0, row.latency_1, row.latency_32) == (2, 1, 1)
    assert list(others) == []
