"""The schema that migrations make is the schema that is declared, on both engines."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

import migrations
from db.database import Database
from db.policies import policies_of, replace_policies
from db.reach import EVERY_TENANT, confine
from db.tables import Base, KeySecret, Tenant
from quotas.policies import parse_limit
from values.ids import is_uuid7, uuid7

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(empty_database_url):
    database = Database(empty_database_url)
    yield database
    database.dispose()


def test_up_down_and_up_again_leaves_the_declared_schema(database):
    """No drift between migrations and tables; nothing is left by the way down."""
    migrations.upgrade(database)
    migrations.downgrade(database)
    with database.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    migrations.upgrade(database)
    migrations.check(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": not_a_partition})
        assert compare_metadata(context, Base.metadata) == []


def test_a_database_without_the_schema_is_refused(database):
    """Nobody works on a schema that the program was not written for."""
    with pytest.raises(migrations.SchemaOutOfDate):
        migrations.check(database)


def test_the_default_plan_is_there_from_the_start(database):
    """600 requests and 60,000 rows a minute, 64 at once."""
    migrations.upgrade(database)
    with database.reading(EVERY_TENANT) as session:
        policies = session.execute(text("SELECT name, amount FROM policies ORDER BY name")).all()
        plan = session.execute(text("SELECT name, concurrency FROM plans")).one()
    assert policies == [("plan-requests-60", 600), ("plan-rows-60", 60_000)]
    assert plan == ("default", 64)


def test_secrets_of_keys_get_ids_of_their_own(database):
    """Each another one, and the keys go on working by their digests; the way down leaves them too."""
    migrations.upgrade(database, "0003")
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            confine(connection, EVERY_TENANT)
        plan = connection.scalar(text("SELECT id FROM plans"))
        connection.execute(SAMPLE_TENANT, {"id": uuid7().replace("-", ""), "plan": str(plan)})
        connection.execute(SAMPLE_KEY)
        for number in range(5):
            connection.execute(SAMPLE_SECRET, {"digest": f"{number:064}"})
    migrations.upgrade(database)
    with database.reading(EVERY_TENANT) as session:
        secrets = session.scalars(select(KeySecret).order_by(KeySecret.digest)).all()
    assert [secret.digest for secret in secrets] == [f"{number:064}" for number in range(5)]
    assert len({secret.id for secret in secrets}) == 5
    assert all(is_uuid7(secret.id) for secret in secrets)
    migrations.downgrade(database, "0003")
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            confine(connection, EVERY_TENANT)
        assert connection.scalar(text("SELECT count(*) FROM key_secrets")) == 5


OLD_LIMITS = {
    ("requests", 100, 60): "100/minute", ("requests", 5, 30): "5/30 seconds", ("requests", 1, 1): "1/second",
    ("rows", 9, 7_200): "9/2 hours", ("rows", 7, 2_592_000): "7/month", ("rows", 8, 86_400): "8/day",
    ("rows", 6, 604_800): "6/7 days", ("rows", 3, 90): "3/90 seconds", ("rows", 2, 5_184_000): "2/2 months",
}  # fmt: skip


def test_old_limits_get_the_text_that_writes_them(database):
    """Parsed, it is the same limit; keys and tenants are as they were, and so is everything on the way back."""
    migrations.upgrade(database, "0005")
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            confine(connection, EVERY_TENANT)
        plan = connection.scalar(text("SELECT id FROM plans"))
        connection.execute(SAMPLE_TENANT, {"id": uuid7().replace("-", ""), "plan": str(plan)})
        connection.execute(SAMPLE_KEY)
        for unit, amount, seconds in OLD_LIMITS:
            values = {"id": uuid7().replace("-", ""), "unit": unit, "amount": amount, "seconds": seconds}
            connection.execute(SAMPLE_POLICY, values | {"name": f"key-{unit}-{seconds}"})
    migrations.upgrade(database)
    with database.reading(EVERY_TENANT) as session:
        policies = policies_of(session, "key", "abcdefghijkl", tenant_id=EVERY_TENANT)
        assert session.scalars(select(Tenant.time_zone)).all() == ["UTC"]
    assert {(each.unit, each.amount, each.window_seconds): each.text for each in policies} == OLD_LIMITS
    for policy in policies:
        parsed = parse_limit(policy.text, "key", policy.unit)
        assert (parsed.name, parsed.amount) == (policy.name, policy.amount)
    migrations.downgrade(database, "0005")
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            confine(connection, EVERY_TENANT)
        assert connection.scalar(text("SELECT count(*) FROM policies WHERE key_id IS NOT NULL")) == len(OLD_LIMITS)


@pytest.mark.parametrize("limit", ["5/calendar-day", "iris: 5/minute"])
def test_limits_that_the_older_schema_cannot_hold_keep_it_away(database, limit):
    """Dropped, they would limit nobody any more; the refusal names them."""
    migrations.upgrade(database)
    with database.transaction(EVERY_TENANT) as session:
        plan_id = session.scalar(text("SELECT id FROM plans"))
        plan_id = str(UUID(str(plan_id)))
        policy = parse_limit(limit, "plan", "rows")
        replace_policies(session, "plan", plan_id, "rows", [policy], tenant_id=EVERY_TENANT)
    with pytest.raises(RuntimeError, match=policy.name):
        migrations.downgrade(database, "0005")
    migrations.check(database)
    with database.transaction(EVERY_TENANT) as session:
        replace_policies(session, "plan", plan_id, "rows", [], tenant_id=EVERY_TENANT)
    migrations.downgrade(database, "0005")


SAMPLE_POLICY = text(
    "INSERT INTO policies (id, name, key_id, unit, amount, window_seconds)"
    " VALUES (:id, :name, 'abcdefghijkl', :unit, :amount, :seconds)"
)
SAMPLE_TENANT = text(
    "INSERT INTO tenants (id, name, plan_id, status, created_at) VALUES (:id, 'old', :plan, 'active', CURRENT_TIMESTAMP)"
)
SAMPLE_KEY = text(
    "INSERT INTO keys (id, tenant_id, label, scopes, created_at)"
    " SELECT 'abcdefghijkl', id, '', '[]', CURRENT_TIMESTAMP FROM tenants"
)
SAMPLE_SECRET = text(
    "INSERT INTO key_secrets (digest, key_id, pepper_id, created_at)"
    " VALUES (:digest, 'abcdefghijkl', 1, CURRENT_TIMESTAMP)"
)


def test_it_runs_from_any_working_directory(tmp_path, empty_database_url):
    """The migrations are found beside the code, not beside the caller."""
    program = (
        "import migrations, sys; from db.database import Database;"
        "d = Database(sys.argv[1]); migrations.upgrade(d); migrations.check(d)"
    )
    command = [sys.executable, "-c", program, empty_database_url]
    subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)


def test_the_log_is_partitioned_by_month(postgres):
    """A year ahead; what falls outside goes to the default partition instead of failing."""
    database = Database(postgres.new_database())
    migrations.upgrade(database)
    now = datetime.now(UTC)
    partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_records'::regclass"
    with database.engine.begin() as connection:
        names = set(connection.scalars(text(partitions)))
        assert len(names) == 1 + 1 + migrations.MONTHS_AHEAD
        assert {f"prediction_records_{now:%Y_%m}", "prediction_records_default"} <= names
        later = now.replace(year=now.year + 3, month=1, day=1)
        migrations.create_partitions(connection, later, 0)
        migrations.create_partitions(connection, later, 0)
        assert len(set(connection.scalars(text(partitions)))) == len(names) + 1
    database.dispose()


def not_a_partition(name, kind, _parents):
    return not (kind == "table" and str(name).startswith("prediction_records_"))
