"""The schema's history, and the functions that apply it; works from any directory and from the wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from db.database import Database, translated
from db.reach import EVERY_TENANT, confine
from migrations.isolation import isolate
from migrations.isolation_check import faults

if TYPE_CHECKING:
    from alembic.config import Config

MONTHS_AHEAD = 12
_CHECK_VIOLATION = "23514"


class SchemaOutOfDate(Exception):
    """The database's schema is not the one that this program was written for."""


def upgrade(database: Database, revision: str = "head", *, role: str | None = None) -> None:
    """Brings the schema up to `revision`.

    On PostgreSQL, also makes the log's partitions for the months ahead, and the policies and privileges that keep
    tenants apart; `role` is the role that the program runs as, if it is not the owner.
    """
    from alembic import command  # noqa: PLC0415  a server only checks, and need not wait for it

    with translated(), _migrating(database) as connection:
        command.upgrade(_config(connection), revision)
        if not database.is_sqlite and current(connection) == head():
            create_partitions(connection, datetime.now(UTC), MONTHS_AHEAD)
            isolate(connection, role)


def downgrade(database: Database, revision: str = "base") -> None:
    """Takes the schema back to `revision`; the rows of tables that this drops are lost."""
    from alembic import command  # noqa: PLC0415  the same

    with translated(), _migrating(database) as connection:
        command.downgrade(_config(connection), revision)


@contextmanager
def _migrating(database: Database) -> Iterator[Connection]:
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            # The owner, too, sees no tenant's rows unless it says so; a migration that moves data must see all.
            confine(connection, EVERY_TENANT)
        yield connection


def current(connection: Connection) -> str | None:
    """Returns the revision that the database is at, or None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def head() -> str:
    """Returns the revision that this program was written for: the files' names begin with theirs, in their order."""
    return max(path.name for path in (Path(__file__).parent / "versions").glob("[0-9]*.py")).partition("_")[0]


def check(database: Database) -> None:
    """Raises `SchemaOutOfDate` unless the database is at this program's revision."""
    with translated(), database.engine.connect() as connection:
        found = current(connection)
    if found != head():
        raise SchemaOutOfDate(f"the database is at revision {found}, this program needs {head()}")


def isolation_faults(database: Database) -> list[str]:
    """Returns the faults in how PostgreSQL keeps tenants apart, as the program's role finds them; none for SQLite."""
    if database.is_sqlite:
        return []
    with translated(), database.engine.connect() as connection:
        return list(faults(connection))


def create_partitions(connection: Connection, now: datetime, months: int) -> None:
    """Makes the missing partitions of the prediction log for `now`'s month and `months` more.

    A month whose first records went to the default partition gets none: its records keep going there.
    """
    for ahead in range(months + 1):
        start, end = _month(now, ahead), _month(now, ahead + 1)
        name = f"prediction_records_{start:%Y_%m}"
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}):
            continue
        try:
            with connection.begin_nested():
                connection.execute(
                    text(
                        f"CREATE TABLE {name} PARTITION OF prediction_records"
                        f" FOR VALUES FROM ('{start:%Y-%m-%d} 00:00+00') TO ('{end:%Y-%m-%d} 00:00+00')"
                    )
                )
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != _CHECK_VIOLATION:
                raise


def _month(now: datetime, ahead: int) -> datetime:
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415  the same

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
