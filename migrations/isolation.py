"""What PostgreSQL itself holds between tenants: row-level security, and what the program's role may do at all.

Both are laid down anew by every `adyton db upgrade`, and compared by `adyton db check` (migrations/isolation_check.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

_TENANT = "nullif(current_setting('adyton.tenant', true), '')::uuid"
_VIEW = "current_setting('adyton.view', true)"
_OWN = f"tenant_id = {_TENANT}"
_KEY = "(SELECT FROM keys WHERE keys.id = key_id)"

#: Which rows of each table a tenant's transaction may see and write.
TENANTS_ROWS = {
    "tenants": f"id = {_TENANT}",
    "users": _OWN,
    "keys": _OWN,
    # What a sub-query finds is itself only what this transaction may see.
    "key_secrets": f"EXISTS {_KEY}",
    "policies": f"{_OWN} OR EXISTS {_KEY}",
    "wrapped_secrets": _OWN,
    "grants": _OWN,
    "events": _OWN,
    "prediction_records": _OWN,
}
#: Rows that are everybody's to read, and no tenant's to write.
COMMON = {"policies": "plan_id IS NOT NULL", "wrapped_secrets": "tenant_id IS NULL"}
#: What may be read before it is known who is calling.
LOOKUP_READS = ("tenants", "users", "keys", "key_secrets", "policies", "wrapped_secrets", "grants")

_ALL = "SELECT, INSERT, UPDATE, DELETE"
#: What is sealed cannot be altered, and what was done cannot be undone in the books.
PRIVILEGES = {
    "prediction_records": (
        "SELECT, INSERT, UPDATE (salt, inputs, outputs, address, client_request_id, fingerprint)"
    ),
    "batches": "SELECT, INSERT",
    "heads": "SELECT, INSERT",
    "chains": "SELECT, INSERT, UPDATE (seen_at, cited_by)",
    "events": "SELECT, INSERT",
    "changes": "SELECT, INSERT, DELETE",
    "change_counter": "SELECT, UPDATE",
    "alembic_version": "SELECT",
    **dict.fromkeys(
        ("plans", "tenants", "users", "keys", "key_secrets", "policies", "wrapped_secrets", "models", "versions",
         "aliases", "grants", "sign_in_failures", "revoked_tokens"), _ALL),
}  # fmt: skip

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_records'::regclass"


class Policy(NamedTuple):
    """A policy for anybody: which rows of the table that command may touch, and which it may write."""

    table: str
    name: str
    command: str
    using: str | None
    check: str | None = None


def isolate(connection: Connection, role: str | None) -> None:
    """Lays down the policies, and gives `role` exactly what the program needs; None where the owner runs it."""
    for table in TENANTS_ROWS:
        _shut(connection, table)
    for policy in policies():
        _lay_down(connection, policy)
    for partition in connection.scalars(text(PARTITIONS)).all():
        # Asked for by its own name, a partition follows its own policies: it has none, and shows nothing.
        _shut(connection, partition)
    if role is not None:
        _grant(connection, role)


def policies() -> Iterator[Policy]:
    """Every policy that there is to be."""
    for table, condition in TENANTS_ROWS.items():
        yield Policy(table, "tenant", "ALL", condition)
        yield Policy(table, "every_tenant", "ALL", f"{_VIEW} = 'every-tenant'")
    for table in LOOKUP_READS:
        yield Policy(table, "lookup", "SELECT", f"{_VIEW} = 'lookup'")
    for table, condition in COMMON.items():
        yield Policy(table, "common", "SELECT", condition)
    # A group commit holds many tenants' records: whoever may see none may still add some.
    yield Policy("prediction_records", "writer", "INSERT", None, "true")


def _shut(connection: Connection, table: str) -> None:
    connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))


def _lay_down(connection: Connection, policy: Policy) -> None:
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
