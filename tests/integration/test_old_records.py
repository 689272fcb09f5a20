"""Records that an earlier version of the program wrote: they verify, are counted, and are shown as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

import migrations
from audit.chain import next_batch, origin
from audit.hours import sum_up
from audit.record import client_digest as digest_of_client
from audit.record import leaf, salted_digest
from audit.verification import faults
from db.database import Database
from db.log_hours import sums_between
from db.policies import Policy
from db.reach import EVERY_TENANT, confine
from program.seeding import Bound, spendings
from values.ids import uuid7
from values.instants import instant, instant_text, now_ms

TENANT, MODEL = uuid7(), uuid7()
#: Outcome, status, rows and count of each record, and what it counts for: requests and rows that may have been charged.
ATTEMPTS = [
    ("answered", 200, 40, 1, (1, 40)),
    ("failed", 500, 7, 1, (1, 7)),
    ("refused:invalid-rows", 422, 0, 5, (5, 0)),
    ("refused:quota-exceeded", 429, 0, 9, (0, 0)),
    ("refused:quota-exceeded", 429, 40, 1, (1, 0)),
    ("refused:exceeds-quota", 422, 40, 2, (2, 0)),
    ("refused:too-many-at-once", 429, 0, 3, (0, 0)),
    ("withdrawn", 503, 40, 1, (0, 0)),
]
FORM_1 = (
    "artifact_sha256", "count", "inference_us", "key_id", "latency_us", "model_id", "outcome", "request_id", "route",
    "rows", "status", "subject", "tenant_id", "version_id",
)  # fmt: skip


@pytest.fixture
def old_log(empty_database_url):
    """A database at the revision before, with a batch that was sealed then."""
    database = Database(empty_database_url)
    migrations.upgrade(database, "0004")
    at_ms = now_ms()
    records = [
        {
            "request_id": uuid7(at_ms), "tenant_id": TENANT, "key_id": "k" * 12, "subject": "key:k", "model_id": MODEL,
            "version_id": None, "artifact_sha256": None, "route": "/predict", "rows": rows, "count": count,
            "outcome": outcome, "status": status, "latency_us": 900, "inference_us": None,
        }
        for outcome, status, rows, count, _ in ATTEMPTS
    ]  # fmt: skip
    salt = bytes(16)
    sealed = []
    for record in records:
        digests = {
            "client_digest": digest_of_client(salt, None, None, None), "outputs_digest": None,
            "inputs_digest": salted_digest(salt, "[1]"),
        }  # fmt: skip
        canonical = {name: record[name] for name in FORM_1} | digests | {"at": instant_text(at_ms)}
        sealed.append(record | digests | {"leaf": leaf(canonical), "inputs": "[1]", "salt": salt.hex()})
    chain_id = uuid7()
    batch = next_batch(1, origin(chain_id, instant_text(at_ms), []), [each["leaf"] for each in sealed], at_ms)
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            confine(connection, EVERY_TENANT)
        write = writer_of(database, connection)
        write("chains", {"id": chain_id, "started_at": instant(at_ms), "seen_at": instant(at_ms), "cites": "[]"})
        for index, each in enumerate(sealed):
            place = {"chain_id": chain_id, "batch_number": 1, "leaf_index": index, "at": instant(at_ms)}
            write("prediction_records", each | place)
        seal = {"size": batch.size, "root": batch.root, "head": batch.head, "sealed_at": instant(at_ms)}
        write("batches", {"chain_id": chain_id, "number": 1} | seal)
    migrations.upgrade(database)
    yield database
    database.dispose()


def writer_of(database, connection):
    """Writes a row, with the values as each database has them."""

    def value(name, given):
        if not database.is_sqlite or given is None:
            return given
        if isinstance(given, datetime):
            return f"{given:%Y-%m-%d %H:%M:%S.%f}"
        return given.replace("-", "") if name == "id" or name.endswith("_id") else given

    def write(table, row):
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(
            text(f"INSERT INTO {table} ({names}) VALUES ({values})"), {name: value(name, row[name]) for name in row}
        )

    return write


def test_old_records_verify_after_the_upgrade(old_log):
    """Their canonical bytes are of form 1, which has no member of that name; their charges are not known."""
    assert not list(faults(old_log))
    with old_log.reading(EVERY_TENANT) as session:
        found = session.execute(text("SELECT form, charged_requests, charged_rows FROM prediction_records")).all()
    assert set(found) == {(1, None, None)}


def test_old_records_are_counted_for_what_they_may_have_been_charged(old_log):
    """By the hour, and by a store that reads what was spent."""
    assert sum_up(old_log) == len(ATTEMPTS)
    start, end = instant(now_ms() - 7_200_000), datetime.now(UTC)
    with old_log.reading(EVERY_TENANT) as session:
        (row,) = sums_between(session, [], start, end, tenant_id=TENANT)
    wanted = tuple(sum(each[4][unit] for each in ATTEMPTS) for unit in (0, 1))
    assert (row.charged_requests, row.charged_rows) == wanted
    assert (row.requests, row.latency_4 + row.latency_3) == (23, 23)
    for seconds in (3_600, 86_400):
        bound = [Bound(Policy("tenant", unit, 100, seconds), TENANT, None, "UTC") for unit in ("requests", "rows")]
        spent = list(spendings(old_log, bound, now_ms()))
        assert (
            tuple(sum(each.cost for each in spent if unit in each.meter.name) for unit in ("requests", "rows"))
            == wanted
        )


def test_records_of_the_newer_form_are_not_taken_back(old_log):
    """The older schema has no place for what was sealed: the way down is refused in words, and loses nothing."""
    migrations.downgrade(old_log, "0004")
    migrations.upgrade(old_log)
    assert not list(faults(old_log))
    with old_log.transaction(EVERY_TENANT) as session:
        session.execute(text("UPDATE prediction_records SET form = 2"))
    with pytest.raises(RuntimeError, match="older schema"):
        migrations.downgrade(old_log, "0004")
    migrations.check(old_log)
