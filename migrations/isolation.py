"""PostgreSQL's own walls between tenants: row-level security, and the privileges of the program's role.

Every `adyton db upgrade` makes both again, and `adyton db check` compares both (migrations/isolation_check.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

_TENANT = "nullif(current_setting('adyton.tenant', true), '')::uuid"
_VIEW = "current_setting('adyton.view', true)"
_OWN = f"tenant_id = {_TENANT}"
_KEY = "(SELECT FROM keys WHERE keys.id = key_id)"

#: The rows of each table that a tenant's transaction may see and write.
TENANTS_ROWS = {
    "tenants": f"id = {_TENANT}",
    "users": _OWN,
    "keys": _OWN,
    # A sub-query, too, finds only rows that this transaction may see.
    "key_secrets": f"EXISTS {_KEY}",
    "policies": f"{_OWN} OR EXISTS {_KEY}",
    "wrapped_secrets": _OWN,
    "grants": _OWN,
    "events": _OWN,
    "prediction_records": _OWN,
    "log_hours": _OWN,
}
#: Rows that every transaction may read, and no tenant may write.
COMMON = {"policies": "plan_id IS NOT NULL", "wrapped_secrets": "tenant_id IS NULL"}
#: Tables that may be read before the caller is known.
LOOKUP_READS = ("tenants", "users", "keys", "key_secrets", "policies", "wrapped_secrets", "grants")

_ALL = "SELECT, INSERT, UPDATE, DELETE"
#: Tables in which the program may do anything.
_OPEN_TABLES = (
    "plans",
    "tenants",
    "users",
    "keys",
    "key_secrets",
    "policies",
    "wrapped_secrets",
    "models",
    "versions",
    "aliases",
    "grants",
    "sign_in_failures",
    "revoked_tokens",
)
#: Sealed columns cannot be altered, and neither batches nor events can be deleted.
PRIVILEGES = {
    "prediction_records": "SELECT, INSERT, UPDATE (salt, inputs, outputs, address, client_request_id, fingerprint)",
    "batches": "SELECT, INSERT",
    "heads": "SELECT, INSERT",
    "chains": "SELECT, INSERT, UPDATE (seen_at, cited_by, summed_up_to)",
    "log_hours": "SELECT, INSERT, UPDATE",
    "events": "SELECT, INSERT",
    "changes": "SELECT, INSERT, DELETE",
    "change_counter": "SELECT, UPDATE",
    "alembic_version": "SELECT",
    **dict.fromkeys(_OPEN_TABLES, _ALL),
}

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_records'::regclass"


class Policy(NamedTuple):
    """A policy for every role: `using` holds for rows that `command` may touch, `check` for rows it may write."""

    table: str
    name: str
    command: str
    using: str | None
    check: str | None = None


def isolate(connection: Connection, role: str | None) -> None:
    """Makes the policies, and gives `role` exactly what the program needs; None if the owner runs the program."""
    for table in TENANTS_ROWS:
        _shut(connection, table)
    for policy in policies():
        _make(connection, policy)
    for partition in connection.scalars(text(PARTITIONS)).all():
        # A query that names a partition itself gets the partition's own policies: it has none, and shows nothing.
        _shut(connection, partition)
    if role is not None:
        _grant(connection, role)


def policies() -> Iterator[Policy]:
    """Yields every policy that the database must have."""
    for table, condition in TENANTS_ROWS.items():
        yield Policy(table, "tenant", "ALL", condition)
        yield Policy(table, "every_tenant", "ALL", f"{_VIEW} = 'every-tenant'")
    for table in LOOKUP_READS:
        yield Policy(table, "lookup", "SELECT", f"{_VIEW} = 'lookup'")
    for table, condition in COMMON.items():
        yield Policy(table, "common", "SELECT", condition)
    # A group commit holds many tenants' records: the log's writer may see none, and may still add them.
    yield Policy("prediction_records", "writer", "INSERT", None, "true")


def _shut(connection: Connection, table: str) -> None:
    connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))


def _make(connection: Connection, policy: Policy) -> None:
    table, name, command, using, check = policy
    rule = f"FOR {command}" + (f" USING ({using})" if using else "") + (f" WITH CHECK ({check})" if check else "")
    connection.execute(text(f"DROP POLICY IF EXISTS {name} ON {table}"))
    connection.execute(text(f"CREATE POLICY {name} ON {table} {rule}"))


def _grant(connection: Connection, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    schema = connection.scalar(text("SELECT current_schema()"))
    connection.execute(text(f'REVOKE CREATE ON SCHEMA "{schema}" FROM {quoted}'))
    connection.execute(text(f'GRANT USAGE ON SCHEMA "{schema}" TO {quoted}'))
    for table in [*PRIVILEGES, *connection.scalars(text(PARTITIONS)).all()]:
        connection.execute(text(f"REVOKE ALL ON {table} FROM {quoted}"))
    for table, privileges in PRIVILEGES.items():
        connection.execute(text(f"GRANT {privileges} ON {table} TO {quoted}"))
