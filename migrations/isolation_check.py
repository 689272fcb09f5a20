"""Compares PostgreSQL's walls between tenants with those that `adyton db upgrade` makes (migrations/isolation.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, text

from migrations.isolation import PARTITIONS, PRIVILEGES, TENANTS_ROWS, policies

_OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
_OF_TABLES = ("DELETE", "TRUNCATE", "TRIGGER")
#: PostgreSQL adds these when it writes a condition: types, parentheses, the table of a column.
_ADDED = re.compile(r"::text|[()\s]|\b(key_secrets|policies|keys)\.")
_GRANTED = re.compile(r"(\w+)(?: \(([^)]*)\))?")


def faults(connection: Connection) -> Iterator[str]:
    """Yields a sentence for each wall that is missing or altered, and each privilege too few or too many.

    Call it as the program's own role.
    """
    role = connection.scalar(text("SELECT current_user"))
    tables = connection.execute(text(_TABLES)).all()
    partitions = set(connection.scalars(text(PARTITIONS)))
    above = sorted({f"the role {role} {fault}" for fault in _standing(connection)})
    yield from above
    for table in tables:
        if table.name in TENANTS_ROWS.keys() | partitions and not table.is_shut:
            yield f"the table {table.name} has no forced row-level security"
    yield from _policy_faults(connection)
    if not above:
        # A role above the walls may do everything: a sentence for each privilege would hide the one that says why.
        yield from _privilege_faults(connection, PRIVILEGES | dict.fromkeys(sorted(partitions), ""))


def _standing(connection: Connection) -> Iterator[str]:
    """Yields what puts the role above policies and privileges: its own attributes, or a role that it may become."""
    for row in connection.execute(text(_ABOVE)):
        yield ("is" if row.is_self else f"may become {row.rolname}, which is") + (
            " above row-level security (SUPERUSER or BYPASSRLS)"
        )
    for row in connection.execute(text(_OWNERS)):
        yield "owns the tables" if row.is_self else f"may become {row.owner}, which owns the tables"


def _policy_faults(connection: Connection) -> Iterator[str]:
    found = {(row.tablename, row.policyname): row for row in connection.execute(text(_POLICIES))}
    wanted = {(policy.table, policy.name): policy for policy in policies()}
    for table, name in sorted(wanted.keys() - found.keys()):
        yield f"the table {table} has no policy {name}"
    for table, name in sorted(found.keys() - wanted.keys()):
        yield f"the table {table} has a policy {name} that is not ours"
    for handle in sorted(wanted.keys() & found.keys()):
        policy, row = wanted[handle], found[handle]
        is_whole = (row.cmd, row.is_for_anybody) == (policy.command, True)
        if not is_whole or _flat(row.qual) != _flat(policy.using) or _flat(row.with_check) != _flat(policy.check):
            yield f"the policy {policy.name} on the table {policy.table} is not as it was made"


def _flat(condition: str | None) -> str | None:
    """Returns a condition without the details that PostgreSQL may write differently.

    Without parentheses no other condition looks like ours: ours have no operators but OR and comparisons.
    """
    return condition and _ADDED.sub("", condition).lower()


def _privilege_faults(connection: Connection, privileges: dict[str, str]) -> Iterator[str]:
    """Compares the role's privileges: by its own grants, by those of its roles, and by those to PUBLIC."""
    schema = connection.scalar(text("SELECT current_schema()"))
    if connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        yield f"the program's role may CREATE in the schema {schema}"
    for table, granted in privileges.items():
        wanted = dict(_GRANTED.findall(granted))
        for privilege in _OF_TABLES:
            has = connection.scalar(
                text("SELECT has_table_privilege(:table, :privilege)"), {"table": table, "privilege": privilege}
            )
            if has != (privilege in wanted):
                yield _sentence(has, privilege, table)
        columns = connection.execute(text(_COLUMNS), {"table": table, "privileges": list(_OF_COLUMNS)}).all()
        for privilege, rows in groupby(columns, itemgetter(0)):
            yield from _column_faults(table, privilege, {row.name: row.has for row in rows}, wanted.get(privilege))


def _column_faults(table: str, privilege: str, has: dict[str, bool], wanted: str | None) -> Iterator[str]:
    """`wanted` names the columns, or is empty for all of them, or None for no column."""
    named = set() if wanted is None else set(wanted.split(", ")) if wanted else set(has)
    wrong = sorted(name for name in has if has[name] != (name in named))
    if len(wrong) == len(has):
        yield _sentence(has[wrong[0]], privilege, table)
        return
    for name in wrong:
        yield _sentence(has[name], f"{privilege} the column {name}", table)


def _sentence(has: bool, privilege: str, table: str) -> str:
    return f"the program's role {'may' if has else 'may not'} {privilege} on {table}"


_ABOVE = """
SELECT rolname, rolname = current_user AS is_self FROM pg_roles
WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER')
  AND (rolname = current_user OR NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
"""

_OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) AS owner, pg_get_userbyid(relowner) = current_user AS is_self
FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(current_schema())
  AND pg_has_role(current_user, relowner, 'MEMBER')
  AND (pg_get_userbyid(relowner) = current_user OR NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
"""

_TABLES = """
SELECT oid::regclass::text AS name, relrowsecurity AND relforcerowsecurity AS is_shut
FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(current_schema()) ORDER BY 1
"""

_POLICIES = """
SELECT tablename, policyname, cmd, qual, with_check, permissive = 'PERMISSIVE' AND roles = '{public}' AS is_for_anybody
FROM pg_policies WHERE schemaname = current_schema()
"""

_COLUMNS = """
SELECT privilege, attname AS name, has_column_privilege(attrelid, attnum, privilege) AS has
FROM pg_attribute CROSS JOIN unnest(CAST(:privileges AS text[])) AS privilege
WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2
"""
