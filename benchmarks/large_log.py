"""A log of ten million records: how long a start waits until it knows what was spent.

    python -m benchmarks.large_log [--records 10000000] [--days 30] [--tenants 200] [--database URL]

Makes a log that is spread evenly over the last days, each tenant with two keys and limits by
the minute, hour, day and month. Then it counts the log into hours, as the first start after an upgrade does, and reads
from it what every limit has spent, as each start does; once more for a start after the counting. It prints seconds of
wall clock and of processor, and the most memory that the process held.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text

import migrations
from audit.hours import sum_up
from db.database import Database
from db.log_store import COLUMNS, LogStore
from db.policies import Policy
from db.reach import EVERY_TENANT
from program.seeding import Bound, seed, spendings
from quotas.strategy import memory_store
from values.ids import uuid7
from values.instants import instant, now_ms

BATCH = 512
#: On SQLite so many records are made by the writer's store, and the others are copies of them, moved back in time.
BLOCK = 100_352


def make_log(database: Database, count: int, days: int, tenants: Sequence[str], models: Sequence[str]) -> None:
    """Writes `count` records, the newest of this second."""
    block = min(count, BLOCK) if database.is_sqlite else count
    span_ms = days * 86_400_000 * block // count
    chain_id = _make_block(database, block, span_ms, tenants, models)
    for copy in range(1, count // block):
        _copy_block(database, chain_id, copy * span_ms)
        _tell(f"\r{(copy + 1) * block} records")
    _tell("\n")


def _make_block(database: Database, count: int, span_ms: int, tenants: Sequence[str], models: Sequence[str]) -> str:
    store, now, chain_id = LogStore(database), now_ms(), uuid7()
    store.start_chain(chain_id, datetime.now(UTC))
    for start in range(0, count, BATCH):
        number, size = start // BATCH + 1, min(BATCH, count - start)
        ages = (span_ms * (count - start - place) // count for place in range(size))
        rows = [
            _row(now - age, start + place, tenants, models, (chain_id, number, place)) for place, age in enumerate(ages)
        ]
        store.append(rows, (chain_id, number, rows[-1][0], size, "0" * 64, "0" * 64))
    store.close()
    store.end_checkpoints()
    return chain_id


def _copy_block(database: Database, chain_id: str, earlier_ms: int) -> None:
    copied = uuid7()
    store = LogStore(database)
    store.start_chain(copied, datetime.now(UTC))
    store.close()
    store.end_checkpoints()
    ms = f"(CAST((julianday(at) - 2440587.5) * 86400000 + 0.5 AS INTEGER) - {earlier_ms})"
    moved = {
        "at": f"strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch') || '000'",
        "request_id": f"printf('%012x', {ms}) || substr(request_id, 13)",
        "chain_id": "replace(:copied, '-', '')",
    }
    values = ", ".join(moved.get(name, name) for name in COLUMNS)
    of_block = "WHERE chain_id = replace(:original, '-', '')"
    with database.transaction(EVERY_TENANT) as session:
        batches = (
            "INSERT INTO batches (chain_id, number, sealed_at, size, root, head)"  # noqa: S608  our own words
            f" SELECT {moved['chain_id']}, number, sealed_at, size, root, head FROM batches {of_block}"
        )
        for statement in (
            f"INSERT INTO prediction_records ({', '.join(COLUMNS)}) SELECT {values} FROM prediction_records {of_block}",  # noqa: S608  our own words
            batches,
        ):
            session.execute(text(statement), {"copied": copied, "original": chain_id})


def _row(at_ms: int, number: int, tenants: Sequence[str], models: Sequence[str], position: Sequence[Any]) -> list[Any]:
    tenant = number * 7919 % len(tenants)
    refused = number % 20 == 0
    values = {
        "at": f"{instant(at_ms):%Y-%m-%d %H:%M:%S.%f}",
        "request_id": uuid7(at_ms),
        "tenant_id": tenants[tenant],
        "key_id": f"{tenant:06}{number % 2:06}",
        "subject": f"key:{tenant:06}{number % 2:06}",
        "model_id": models[number % len(models)],
        "version_id": models[number % len(models)],
        "artifact_sha256": "0" * 64,
        "route": "/predict",
        "rows": 1,
        "count": 1,
        "outcome": "refused:quota-exceeded" if refused else "answered",
        "status": 429 if refused else 200,
        "latency_us": 400 + number * 104_729 % 9_000,
        "inference_us": 30,
        "charged_requests": 0 if refused else 1,
        "charged_rows": 0 if refused else 1,
        "form": 2,
        "address": "192.0.2.0/24",
        **dict.fromkeys(("fingerprint", "client_digest", "inputs_digest", "outputs_digest", "leaf"), "0" * 64),
        "salt": "0" * 32,
        "inputs": '[{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}]',
        "outputs": '[{"prediction":"setosa","probabilities":{"setosa":0.98,"versicolor":0.01,"virginica":0.01}}]',
        **dict(zip(("chain_id", "batch_number", "leaf_index"), position, strict=True)),
    }
    return [values.get(name) for name in COLUMNS]


def timed(what: str, work: Callable[[], object]) -> None:
    started, used = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    _tell(f"{what}: {result} in {seconds:.1f} s, {cpu:.1f} s of processor; at most {most} MiB so far\n")


def _tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--database", help="an empty database; by default SQLite in a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(given.database or f"sqlite:///{Path(folder)}/log.db")
        migrations.upgrade(database)
        tenants = [str(uuid4()) for _ in range(given.tenants)]
        timed("made", lambda: make_log(database, given.records, given.days, tenants, [str(uuid4()) for _ in range(3)]))
        bound = [*_limits(tenants)]
        for what in ("first start", "every later start"):
            timed(f"{what}: counted into hours", lambda: sum_up(database))
            timed(f"{what}: {len(bound)} limits read", lambda: asyncio.run(_seeded(database, bound)))
        database.dispose()


def _limits(tenants: Sequence[str]) -> Iterator[Bound]:
    """On each tenant limits by the minute, hour, day and month, and on each key by the minute and day."""
    for number, tenant_id in enumerate(tenants):
        for seconds in (60, 3_600, 86_400, 2_592_000):
            yield Bound(Policy("plan", "requests", 10**9, seconds), tenant_id, None, "UTC")
            yield Bound(Policy("plan", "rows", 10**9, seconds), tenant_id, None, "UTC")
        for key in range(2):
            for seconds in (60, 86_400):
                yield Bound(Policy("key", "requests", 10**9, seconds), tenant_id, f"{number:06}{key:06}", "UTC")


async def _seeded(database: Database, bound: Sequence[Bound]) -> str:
    store, at_ms = memory_store(), now_ms()
    await seed(store, spendings(database, bound, at_ms))
    month = [each.meter() for each in bound if each.policy.window_seconds == 2_592_000]
    spent = sum(meter.amount - state.left for meter, state in zip(month, await store.states(month), strict=True))
    return f"{spent} requests and rows of the month"


if __name__ == "__main__":
    main()
