"""What keeps tenants apart on PostgreSQL where the program forgets to: row-level security and the role's rights."""

from __future__ import annotations

import inspect
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

import db.events
import db.keys
import db.policies
import db.prediction_log
import db.tenants
import db.users
import db.wrapped_secrets
import migrations
from admin.users import create_user
from audit.record import Record, seal
from db.database import Database
from db.keys import page_of_keys
from db.paging import WHOLE
from db.reach import EVERY_TENANT, LOOKUP, NO_TENANT
from db.tables import (
    LOG_HOURS,
    Base,
    Event,
    Grant,
    Key,
    KeySecret,
    PolicyRow,
    PredictionRecord,
    Tenant,
    User,
    WrappedSecret,
)
from migrations.isolation import TENANTS_ROWS
from tests.support.server import run_cli
from values.ids import uuid7
from values.instants import now_ms

OWNED = [Tenant, User, Key, KeySecret, PolicyRow, WrappedSecret, Grant, Event, PredictionRecord, LOG_HOURS]
ALTER_RECORD = "UPDATE prediction_records SET outcome = 'failed'"


@pytest.fixture(scope="module")
def shared(new_postgres_site, tmp_path_factory):
    """Two hundred tenants, each with a key that has a limit, a person, a grant and a record."""
    from tests.support.site import ACTOR  # noqa: PLC0415

    site = new_postgres_site(tmp_path_factory.mktemp("isolated") / "site")
    site.tenants = {}
    for number in range(200):
        issued = site.issue(site.tenant(f"tenant{number}"), requests=["9/minute"])
        site.tenants[f"tenant{number}"] = issued.key.tenant_id
    for number in range(3):
        create_user(
            site.database, actor=ACTOR, email=f"p{number}@example.com", role="auditor", tenant=f"tenant{number}"
        )
        site.grant("iris", f"tenant{number}")
    with site.database.transaction(NO_TENANT) as session:
        for tenant_id in site.tenants.values():
            session.execute(PredictionRecord.__table__.insert(), [stored(tenant_id)])
    with site.database.transaction(EVERY_TENANT) as session:
        for tenant_id in site.tenants.values():
            hour = dict.fromkeys(LOG_HOURS.c.keys(), 1) | {"tenant_id": tenant_id, "key_id": "", "outcome": "answered"}
            ids = {"model_id": uuid7(), "version_id": uuid7(), "hour": datetime(2026, 1, 1, tzinfo=UTC)}
            session.execute(LOG_HOURS.insert(), [hour | ids])
    yield site
    site.close()


def stored(tenant_id):
    made = Record(request_id=uuid7(), at_ms=now_ms(), tenant_id=tenant_id, subject="key:x", key_id="x", route="/predict",
                  outcome="answered", status=200, started=0.0, inputs="[1]", outputs="[2]")  # fmt: skip
    sealed = seal(made)
    columns = {column.name for column in PredictionRecord.__table__.columns}
    values = {name: getattr(made, name) for name in made.__dataclass_fields__ if name in columns}
    digests = {
        name: getattr(sealed, name) for name in ("salt", "client_digest", "inputs_digest", "outputs_digest", "leaf")
    }
    from values.instants import instant  # noqa: PLC0415

    return values | digests | {"at": instant(made.at_ms), "chain_id": uuid7(), "batch_number": 1, "leaf_index": 0}


def test_two_hundred_tenants_in_turn_on_one_connection_never_see_each_other(shared):
    """Nothing of a transaction's tenant stays with the connection; the queries here have no filter at all."""
    database = Database(shared.settings.database_url, connections=1)
    names = random.Random(7).choices(list(shared.tenants), k=400)

    turn = Lock()

    def look(name):
        # Whoever waits for a connection gives up in time; whoever waits for their turn does not.
        with turn, database.reading(shared.tenants[name]) as session:
            return name, set(session.scalars(select(Tenant.name))), set(session.scalars(select(Key.tenant_id))), set(
                session.scalars(select(PredictionRecord.tenant_id)))  # fmt: skip

    with ThreadPoolExecutor(4) as threads:
        for name, tenants, keys, records in threads.map(look, names):
            assert (tenants, keys, records) == ({name}, {shared.tenants[name]}, {shared.tenants[name]})
    database.dispose()


@pytest.mark.parametrize("table", OWNED, ids=lambda table: getattr(table, "__tablename__", "log_hours"))
def test_a_query_without_its_filter_finds_only_what_is_the_tenants(shared, table):
    """Of each table that holds tenants' rows: one tenant's transaction counts fewer than all, and none count nothing."""
    with shared.database.reading(EVERY_TENANT) as session:
        everything = session.scalar(select(func.count()).select_from(table))
    with shared.database.reading(shared.tenants["tenant0"]) as session:
        own = session.scalar(select(func.count()).select_from(table))
    with shared.database.reading(NO_TENANT) as session:
        nobodys = session.scalar(select(func.count()).select_from(table))
    # Plans' limits, and secrets that no tenant owns, are everybody's.
    common = {PolicyRow: 4, WrappedSecret: 2}.get(table, 0)
    assert common < own < everything
    assert nobodys == common


def test_the_filter_removed_from_a_query_of_the_programs_returns_none_of_another_tenants(shared, monkeypatch):
    """`page_of_keys` without its condition: PostgreSQL has its own."""
    monkeypatch.setattr(db.keys, "within", lambda _column, _reach: text("true"))
    with shared.database.reading(shared.tenants["tenant1"]) as session:
        found = page_of_keys(session, WHOLE, tenant_id=shared.tenants["tenant0"]).rows
    assert {tenant.name for _, tenant in found} == {"tenant1"}


def test_a_partition_by_its_name_shows_nothing(shared):
    """Neither to the program, which may not ask, nor to the owner, who may."""
    with shared.database.reading(EVERY_TENANT) as session:
        (name,) = session.scalars(text("SELECT DISTINCT tableoid::regclass::text FROM prediction_records"))
    with pytest.raises(ProgrammingError, match="permission denied"), shared.database.reading(EVERY_TENANT) as session:
        session.execute(text(f"SELECT count(*) FROM {name}"))
    with shared.owner.reading(EVERY_TENANT) as session:
        assert session.scalar(text(f"SELECT count(*) FROM {name}")) == 0
        assert session.scalar(text("SELECT count(*) FROM prediction_records")) == 200


def test_the_owner_is_held_too(shared):
    """FORCE: without saying whose rows it wants, the owner sees none."""
    with shared.owner.reading(NO_TENANT) as session:
        assert [
            session.scalar(select(func.count()).select_from(table)) for table in (Key, Event, PredictionRecord)
        ] == [0, 0, 0]


def test_the_lookup_reads_no_records_and_no_events_and_writes_nothing(shared):
    """Before it is known who calls, only what tells who calls is seen."""
    with shared.database.reading(LOOKUP) as session:
        assert session.scalar(select(func.count()).select_from(Key)) == 200
        assert session.scalar(select(func.count()).select_from(PredictionRecord)) == 0
        assert session.scalar(select(func.count()).select_from(Event)) == 0
        assert session.execute(text("UPDATE keys SET label = 'x'")).rowcount == 0


def test_a_tenants_transaction_writes_no_row_of_another(shared):
    """Neither a new one, nor one moved over, nor one that it cannot see."""
    other = shared.tenants["tenant1"]
    with shared.database.transaction(shared.tenants["tenant0"]) as session:
        assert session.execute(text("UPDATE keys SET label = 'x' WHERE tenant_id = :id"), {"id": other}).rowcount == 0
        assert session.execute(text("DELETE FROM grants WHERE tenant_id = :id"), {"id": other}).rowcount == 0
        # What is everybody's is to be read.
        assert session.execute(text("UPDATE policies SET amount = 9 WHERE plan_id IS NOT NULL")).rowcount == 0
        assert session.execute(text("DELETE FROM wrapped_secrets WHERE tenant_id IS NULL")).rowcount == 0
    for statement in ("UPDATE keys SET tenant_id = :id",
                      "INSERT INTO grants SELECT id, :id, now() FROM models",
                      "INSERT INTO events SELECT gen_random_uuid(), now(), 'x', 'x', :id, 'x', '{}'"):  # fmt: skip
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            shared.database.transaction(shared.tenants["tenant0"]) as session,
        ):
            session.execute(text(statement), {"id": other})


@pytest.mark.parametrize("statement", [
    ALTER_RECORD, "DELETE FROM prediction_records", "TRUNCATE prediction_records", "UPDATE batches SET root = head",
    "DELETE FROM events", "UPDATE events SET actor = 'x'", "DROP TABLE keys", "ALTER TABLE keys DISABLE ROW LEVEL SECURITY",
    "DROP POLICY tenant ON keys", "CREATE TABLE mine (id int)", "UPDATE alembic_version SET version_num = 'x'",
])  # fmt: skip
def test_the_programs_role_may_not_rewrite_the_books(shared, statement):
    """What is sealed and what was done stay as they are, whoever takes the program over."""
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        shared.database.transaction(EVERY_TENANT) as session,
    ):
        session.execute(text(statement))


PARTITION = "prediction_records_default"
MAY, TO = "the program's role may", "TO adyton_program"
OWN = "tenant_id = nullif(current_setting('adyton.tenant', true), '')::uuid"
OTHER_POLICIES = [
    "ALTER POLICY tenant ON keys USING (true)", "ALTER POLICY tenant ON keys WITH CHECK (true)", "ALTER POLICY tenant ON keys TO adyton_program",
    "ALTER POLICY tenant ON keys USING (tenant_id IS NOT NULL)", f"ALTER POLICY tenant ON keys USING ({OWN.replace('=', '<>')})",
    f"ALTER POLICY tenant ON keys USING ({OWN.replace('adyton.tenant', 'adyton.other')})",
    f"DROP POLICY tenant ON keys; CREATE POLICY tenant ON keys AS RESTRICTIVE USING ({OWN})",
    f"DROP POLICY tenant ON keys; CREATE POLICY tenant ON keys FOR UPDATE USING ({OWN})",
]  # fmt: skip
#: What is done by hand, and what is said of it: all of that, and nothing else.
MISSING = {
    "ALTER TABLE keys NO FORCE ROW LEVEL SECURITY": ["the table keys has no forced row-level security"],
    f"ALTER TABLE {PARTITION} DISABLE ROW LEVEL SECURITY": [f"the table {PARTITION} has no forced row-level security"],
    "DROP POLICY writer ON prediction_records": ["the table prediction_records has no policy writer"],
    "DROP POLICY tenant ON events": ["the table events has no policy tenant"],
    **{how: ["the policy tenant on the table keys is not as it was made"] for how in OTHER_POLICIES},
    "ALTER POLICY common ON policies USING (plan_id IS NOT NULL OR key_id IS NOT NULL)": [
        "the policy common on the table policies is not as it was made"],
    "ALTER POLICY tenant ON key_secrets USING (EXISTS (SELECT FROM keys))": [
        "the policy tenant on the table key_secrets is not as it was made"],
    f"GRANT SELECT ON {PARTITION} {TO}": [f"{MAY} SELECT on {PARTITION}"],
    f"GRANT SELECT (inputs) ON {PARTITION} {TO}": [f"{MAY} SELECT the column inputs on {PARTITION}"],
    f"GRANT INSERT, UPDATE, DELETE ON {PARTITION} {TO}": [
        f"{MAY} DELETE on {PARTITION}", f"{MAY} INSERT on {PARTITION}", f"{MAY} UPDATE on {PARTITION}"],
    f"GRANT DELETE ON prediction_records {TO}": [f"{MAY} DELETE on prediction_records"],
    f"GRANT UPDATE (outcome) ON prediction_records {TO}": [f"{MAY} UPDATE the column outcome on prediction_records"],
    f"GRANT UPDATE ON batches {TO}": [f"{MAY} UPDATE on batches"],
    "GRANT TRUNCATE ON events TO PUBLIC": [f"{MAY} TRUNCATE on events"],
    "REVOKE UPDATE (salt) ON prediction_records FROM adyton_program": [
        f"{MAY} not UPDATE the column salt on prediction_records"],
    "REVOKE INSERT ON events FROM adyton_program": [f"{MAY} not INSERT on events"],
    "REVOKE DELETE ON keys FROM adyton_program": [f"{MAY} not DELETE on keys"],
    f"GRANT CREATE ON SCHEMA public {TO}": [f"{MAY} CREATE in the schema public"],
    "CREATE POLICY open ON keys USING (true)": ["the table keys has a policy open that is not ours"],
    f"GRANT adyton_owner {TO}": ["the role adyton_program may become adyton_owner, which owns the tables"],
    f"GRANT postgres {TO}": [
        "the role adyton_program may become postgres, which is above row-level security (SUPERUSER or BYPASSRLS)"],
}  # fmt: skip
#: What `db upgrade` leaves as it is: it was made by somebody who may do more.
UNDONE = {
    "CREATE POLICY open ON keys USING (true)": "DROP POLICY open ON keys",
    "GRANT TRUNCATE ON events TO PUBLIC": "REVOKE TRUNCATE ON events FROM PUBLIC",
    f"GRANT adyton_owner {TO}": "REVOKE adyton_owner FROM adyton_program",
    f"GRANT postgres {TO}": "REVOKE postgres FROM adyton_program",
}


@pytest.mark.parametrize("statement", MISSING)
def test_db_check_says_what_is_missing_and_what_is_too_much(shared, postgres, statement):
    """A sentence for each thing that is not as `db upgrade` made it; and all is mended by that."""
    name = shared.owner.url.database
    assert migrations.isolation_faults(shared.database) == []
    postgres.execute(statement, name)
    try:
        assert migrations.isolation_faults(shared.database) == MISSING[statement]
    finally:
        if statement in UNDONE:
            postgres.execute(UNDONE[statement], name)
        migrations.upgrade(shared.owner, role="adyton_program")
    assert migrations.isolation_faults(shared.database) == []


def test_db_check_names_a_role_that_nothing_holds(shared):
    """A superuser, and the owner of the tables: one sentence each, without one for all that they may do."""
    superuser = Database(shared.settings.database_url.replace("adyton_program", "postgres"))
    assert migrations.isolation_faults(superuser) == [
        "the role postgres is above row-level security (SUPERUSER or BYPASSRLS)"]  # fmt: skip
    superuser.dispose()
    assert migrations.isolation_faults(shared.owner) == ["the role adyton_owner owns the tables"]


def test_db_check_on_the_command_line(shared, postgres):
    """0 and nothing where all is as it should be, else 1 and where to read on; `db upgrade` mends it."""
    assert run_cli(shared, "db", "check").returncode == 0
    postgres.execute("DROP POLICY tenant ON events", shared.owner.url.database)
    checked = run_cli(shared, "db", "check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "docs/operations.md" in checked.stderr
    assert run_cli(shared, "db", "upgrade").returncode == 0
    assert run_cli(shared, "db", "check").returncode == 0


def test_a_tenants_tables_are_all_named(shared):
    """A new table with a tenant's id in it has to have a policy."""
    owned = {table.name for table in Base.metadata.sorted_tables if "tenant_id" in table.columns}
    assert owned <= TENANTS_ROWS.keys()
    with psycopg.connect(shared.owner.url.set(drivername="postgresql").render_as_string()) as connection:
        shut = connection.execute("SELECT relname FROM pg_class WHERE relforcerowsecurity AND relkind IN ('r', 'p')")
        assert owned <= {row[0] for row in shut}


@pytest.mark.parametrize("room", [db.keys, db.users, db.tenants, db.events, db.policies, db.prediction_log, db.wrapped_secrets],
                         ids=lambda room: room.__name__)  # fmt: skip
def test_every_query_on_tenants_rows_names_the_tenant(room):
    """By keyword, and without a default: nobody leaves it out unseen."""
    exceptions = {
        # What belongs to no tenant, or is counted before anybody is known.
        "wrapped_of", "retirement_of", "next_number", "failures_at", "add_failures", "forget_failures", "plan_of", "add_event",
        # The verifier's, over the whole log; `search` takes it within its filters.
        "chains", "batches_of", "count_records", "records_of_batch", "search",
    }  # fmt: skip
    for name, function in vars(room).items():
        if inspect.isfunction(function) and function.__module__ == room.__name__ and not name.startswith("_"):
            parameter = inspect.signature(function).parameters.get("tenant_id")
            is_asked = parameter is not None and parameter.kind is parameter.KEYWORD_ONLY
            assert name in exceptions or (is_asked and parameter.default is parameter.empty), name
