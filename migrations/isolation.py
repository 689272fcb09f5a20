"""What PostgreSQL itself holds between tenants: row-level security, and what the program's role may do at all.

Both are laid down anew by every `adyton db upgrade`, and compared by `adyton db check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

_TENANT = "nullif(current_setting('adyton.tenant', true), '')::uuid"
_VIEW = "current_setting('adyton.view', true)"
_OWN = f"tenant_id = {_TENANT}"

#: Which rows of each table a tenant's transaction may see and write.
TENANTS_ROWS = {
    "tenants": f"id = {_TENANT}",
    "users": _OWN,
    "keys": _OWN,
    # What a sub-query finds is itself only what this transaction may see.
    "key_secrets": "EXISTS (SELECT FROM keys WHERE keys.id = key_id)",
    "policies": f"{_OWN} OR EXISTS (SELECT FROM keys WHERE keys.id = key_id)",
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

_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'prediction_records'::regclass"


def isolate(connection: Connection, role: str | None) -> None:
    """Lays down the policies, and gives `role` exactly what the program needs; None where the owner runs it."""
    for table, condition in TENANTS_ROWS.items():
        _shut(connection, table)
        _policy(connection, table, "tenant", f"USING ({condition})")
        _policy(connection, table, "every_tenant", f"USING ({_VIEW} = 'every-tenant')")
        if table in LOOKUP_READS:
            _policy(connection, table, "lookup", f"FOR SELECT USING ({_VIEW} = 'lookup')")
        if table in COMMON:
            _policy(connection, table, "common", f"FOR SELECT USING ({COMMON[table]})")
    # A group commit holds many tenants' records: whoever may see none may still add some.
    _policy(connection, "prediction_records", "writer", "FOR INSERT WITH CHECK (true)")
    for partition in connection.scalars(text(_PARTITIONS)).all():
        # Asked for by its own name, a partition follows its own policies: it has none, and shows nothing.
        _shut(connection, partition)
    if role is not None:
        _grant(connection, role)


def _shut(connection: Connection, table: str) -> None:
    connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"))


def _policy(connection: Connection, table: str, name: str, rule: str) -> None:
    connection.execute(text(f"DROP POLICY IF EXISTS {name} ON {table}"))
    connection.execute(text(f"CREATE POLICY {name} ON {table} {rule}"))


def _grant(connection: Connection, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    schema = connection.scalar(text("SELECT current_schema()"))
    connection.execute(text(f'GRANT USAGE ON SCHEMA "{schema}" TO {quoted}'))
    for table in [*PRIVILEGES, *connection.scalars(text(_PARTITIONS)).all()]:
        connection.execute(text(f"REVOKE ALL ON {table} FROM {quoted}"))
    for table, privileges in PRIVILEGES.items():
        connection.execute(text(f"GRANT {privileges} ON {table} TO {quoted}"))


def faults(connection: Connection) -> Iterator[str]:
    """What is missing of the isolation, as the program's own role finds it; one sentence each."""
    role = connection.execute(
        text("SELECT rolname, rolsuper OR rolbypassrls AS is_above FROM pg_roles WHERE rolname = current_user")
    ).one()
    if role.is_above:
        yield f"the role {role.rolname} is above row-level security (SUPERUSER or BYPASSRLS)"
    tables = {row.name: row for row in connection.execute(text(_TABLES))}
    policies = {
        (row.tablename, row.policyname)
        for row in connection.execute(
            text("SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()")
        )
    }
    partitions = set(connection.scalars(text(_PARTITIONS)))
    for table in sorted(tables):
        if tables[table].is_owner:
            yield f"the role {role.rolname} owns the table {table}"
        if table in TENANTS_ROWS.keys() | partitions and not tables[table].is_shut:
            yield f"the table {table} has no forced row-level security"
    named = {"tenant": TENANTS_ROWS, "every_tenant": TENANTS_ROWS, "lookup": LOOKUP_READS, "common": COMMON}
    wanted = {(table, name) for name, having in named.items() for table in having} | {("prediction_records", "writer")}
    for table, name in sorted(wanted - policies):
        yield f"the table {table} has no policy {name}"
    for table, name in sorted(policies - wanted):
        yield f"the table {table} has a policy {name} that is not ours"
    yield from _excess(connection, sorted(partitions))


def _excess(connection: Connection, partitions: list[str]) -> Iterator[str]:
    for table, privileges in PRIVILEGES.items():
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            has = connection.scalar(
                text("SELECT has_table_privilege(:table, :privilege)"), {"table": table, "privilege": privilege}
            )
            needs = privilege in privileges.replace("UPDATE (", "(")
            if has and not needs:
                yield f"the program's role may {privilege} on {table}"
            if needs and not has:
                yield f"the program's role may not {privilege} on {table}"
    for table in partitions:
        if connection.scalar(text("SELECT has_table_privilege(:table, 'SELECT')"), {"table": table}):
            yield f"the program's role may read the partition {table} by its name"


_TABLES = """
SELECT oid::regclass::text AS name, pg_get_userbyid(relowner) = current_user AS is_owner,
       relrowsecurity AND relforcerowsecurity AS is_shut
FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(current_schema())
"""
