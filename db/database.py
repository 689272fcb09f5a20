"""One database, SQLite or PostgreSQL: its engine, its pragmas and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shutil import disk_usage
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from db.reach import View, confine
from db.stopping import Stop, Stopped

#: A SQLite disk with less room than this counts as full, before a commit fails on it.
DISK_RESERVE_BYTES = 1 << 20
BUSY_TIMEOUT_MS = 5_000
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    # A statement that writes several rows keeps a journal of its own, by default as a file in the system's temporary
    # folder: with that folder full, or file descriptors used up, no group could be committed.
    "temp_store=MEMORY",
)


class DatabaseUnavailable(Exception):
    """The database cannot be reached, is read-only, or has no room; no change is known to have been made."""


class ChangedMeanwhile(Exception):
    """Somebody else changed the same object at the same time; this change was not made."""


class Database:
    """An engine and the two ways to use it: `transaction` to change, `reading` to look; each names its view of tenants.

    `url` is SQLAlchemy's: `sqlite:///path` or `postgresql+psycopg://...`. On PostgreSQL the pool opens at most
    `connections` connections.
    """

    def __init__(self, url: str, connections: int = 15) -> None:
        self._connections = connections
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = Path(self.url.database or "").absolute() if self.is_sqlite else None
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine()

    @contextmanager
    def transaction(self, view: str | View) -> Iterator[Session]:
        """Yields a session that commits at the end of the block, or rolls back if the block raises.

        Raises `ChangedMeanwhile` if another transaction was faster, and `DatabaseUnavailable`.
        """
        with self._session(view, writes=True) as session:
            yield session

    @contextmanager
    def reading(self, view: str | View, stop: Stop | None = None) -> Iterator[Session]:
        """Yields a session for queries alone; on SQLite it never waits for a writer.

        Raises `Stopped` when `stop` ends the reading, and `DatabaseUnavailable`.
        """
        try:
            with (
                self._session(view, writes=False) as session,
                stop.over(session.connection()) if stop else nullcontext(),
            ):
                yield session
        except DatabaseUnavailable:
            if stop is not None and stop.is_over():
                raise Stopped from None
            raise

    def has_room(self) -> bool:
        """Whether the disk has room for a commit; true for a server, which reports a full disk itself.

        SQLite writes the file and, beside it, the write-ahead log with its index; if the path is a link, all three are
        at its target. It writes no other file: see `_PRAGMAS`.
        """
        return self.path is None or disk_usage(self.path.resolve().parent).free >= DISK_RESERVE_BYTES

    def connect(self) -> Connection:
        """Returns a connection of its own in autocommit, outside the pool's transactions; for the log's writer."""
        with translated():
            return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def dispose(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _session(self, view: str | View, *, writes: bool) -> Iterator[Session]:
        with translated(), Session(self.engine, expire_on_commit=False) as session:
            options = {"sqlite_begin": "IMMEDIATE" if writes else "DEFERRED"}
            connection = session.connection(execution_options=options)
            if not self.is_sqlite:
                confine(connection, view)
            yield session
            session.commit()

    def _postgresql_engine(self) -> Engine:
        options = "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=30s"
        # Notices a silent network within seconds: by default TCP would take a quarter of an hour.
        silence = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
        connect_args: dict[str, Any] = {"options": options, "connect_timeout": 3, "application_name": "adyton"}
        return create_engine(
            self.url,
            pool_pre_ping=True,
            pool_timeout=3,
            pool_size=min(5, self._connections),
            max_overflow=max(0, self._connections - 5),
            hide_parameters=True,
            connect_args=connect_args | silence,
        )

    def _sqlite_engine(self) -> Engine:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connect_args = {"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
        engine = create_engine(self.url, hide_parameters=True, connect_args=connect_args)
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
        return engine


@contextmanager
def translated() -> Iterator[None]:
    """Raises `DatabaseUnavailable` for a driver's operational errors, without their words: those may hold values.

    Raises `ChangedMeanwhile` if somebody changed a row, or took a name, after it was read.
    """
    try:
        yield
    except StaleDataError:
        raise ChangedMeanwhile("somebody else changed it meanwhile: look at it again") from None
    except IntegrityError as error:
        if _is_taken(error.orig):
            raise ChangedMeanwhile("somebody else made the same thing meanwhile: look again") from None
        raise
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("no connection became free in time") from error
    except DBAPIError as error:
        if error.connection_invalidated or is_operational(error.orig):
            raise DatabaseUnavailable(type(error.orig).__name__) from None
        raise


def _is_taken(error: BaseException | None) -> bool:
    """Whether a driver's error comes from a unique constraint."""
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", ""))
    return code in {"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}


def is_operational(error: BaseException | None) -> bool:
    """Whether a driver's error is about the database's state and not about our statement."""
    names = {base.__name__ for base in type(error).__mro__}
    return bool(names & {"OperationalError", "InternalError", "InterfaceError"})


def _set_pragmas(connection: Any, _record: Any) -> None:
    # Python's own implicit BEGIN would be DEFERRED, and a reader that turns writer under WAL fails at once with
    # SQLITE_BUSY, whatever the timeout is. `_begin` chooses the kind.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'DEFERRED')}")
