"""The prediction log for its writer: connections of its own, one statement and one commit for each group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, and_, func, select, update
from sqlalchemy.orm import Session

from db.chain_locks import has_lock
from db.database import Database, DatabaseUnavailable, translated
from db.reach import NO_TENANT
from db.tables import Batch, Chain
from db.turns import Turns

#: The order in which `LogStore.append` takes a record's values.
COLUMNS = [
    "at",
    "request_id",
    "client_request_id",
    "tenant_id",
    "key_id",
    "subject",
    "model_id",
    "version_id",
    "artifact_sha256",
    "route",
    "rows",
    "count",
    "outcome",
    "status",
    "latency_us",
    "inference_us",
    "charged_requests",
    "charged_rows",
    "trace_id",
    "job_id",
    "form",
    "address",
    "fingerprint",
    "client_digest",
    "inputs_digest",
    "outputs_digest",
    "salt",
    "inputs",
    "outputs",
    "leaf",
    "chain_id",
    "batch_number",
    "leaf_index",
]
_UUIDS = {"request_id", "tenant_id", "model_id", "version_id", "job_id", "chain_id"}
_INTEGERS = {
    "rows",
    "count",
    "status",
    "latency_us",
    "inference_us",
    "charged_requests",
    "charged_rows",
    "form",
    "batch_number",
    "leaf_index",
}
#: With more pages, the writer finishes the checkpoint itself; otherwise the WAL grows for ever under load.
WAL_BOUND_PAGES = (32 << 20) // 4096
#: A writer without a sign of life for this long is gone, and its last head can be cited for good.
GONE_AFTER = timedelta(seconds=60)
#: PostgreSQL ends a backend within so long, or its chain waits to be cited until it was silent.
ENDED_WITHIN_SECONDS = 2.0


class LogStore:
    """The writer's own connections: one for the groups, and on SQLite one for the checkpoints beside them.

    `start_chain` opens both and keeps them: a process that has run out of file descriptors still writes its log. With
    `turns`, it shares a SQLite database with writers in other processes.
    """

    def __init__(self, database: Database, turns: Turns | None = None) -> None:
        self._database = database
        self._turns = turns
        self._connection: Connection | None = None
        self._checkpoints: Connection | None = None
        self._chain_id = ""
        #: Pages in SQLite's write-ahead log when it was last looked at.
        self._wal_pages = 0

    def start_chain(self, chain_id: str, started_at: datetime, ended: Sequence[str] = ()) -> list[str]:
        """Writes a new chain, and returns the last heads of the others, which it cites.

        The writers of the chains in `ended` are known to have ended; others are taken for gone when they are silent.
        """
        surely_ended = [each for each in ended if self._can_move_no_more(each)]
        with self._database.transaction(NO_TENANT) as session:
            tips = _uncited_chains(session, started_at - GONE_AFTER, surely_ended)
            cites = sorted(head for _, head, _ in tips if head is not None)
            chain = Chain(id=chain_id, started_at=started_at, seen_at=started_at, cites=cites, cited_by=None)
            session.add(chain)
            session.flush()
            gone = [id_ for id_, _, is_gone in tips if is_gone]
            session.execute(update(Chain).where(Chain.id.in_(gone)).values(cited_by=chain_id))
        self._chain_id = chain_id
        self.touch(chain_id)
        self.checkpoint()
        return cites

    def append(self, rows: Sequence[Sequence[Any]], batch: Sequence[Any]) -> None:
        """Writes records (in the order of `COLUMNS`) and their batch (chain, number, instant, size, root, head).

        Raises `DatabaseUnavailable`; whether they were written is then unknown.
        """
        connection = self._open()
        with translated():
            if not self._database.is_sqlite:
                records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
                connection.exec_driver_sql(_POSTGRESQL_APPEND, (orjson.dumps(records).decode(), *batch))
                return
            records_text = orjson.dumps(rows).decode()
            with self._turn():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql(_SQLITE_RECORDS, (records_text,))
                connection.exec_driver_sql(_SQLITE_BATCH, tuple(batch))
                connection.exec_driver_sql("COMMIT")

    def last_batch(self, chain_id: str) -> tuple[int, str] | None:
        """Returns the number and head of the chain's last batch; no other writer is left to extend it meanwhile."""
        query = select(Batch.number, Batch.head).where(Batch.chain_id == chain_id)
        with translated():
            found = self._open().execute(query.order_by(Batch.number.desc()).limit(1)).first()
        return None if found is None else (found[0], found[1])

    def touch(self, chain_id: str) -> None:
        """Writes the chain's sign of life."""
        with translated():
            self._open().execute(update(Chain).where(Chain.id == chain_id).values(seen_at=datetime.now(UTC)))

    def checkpoint(self) -> None:
        """Moves the WAL's pages into the database and makes nobody wait; for a thread beside the writer."""
        if not self._database.is_sqlite:
            return
        if self._checkpoints is None:
            self._checkpoints = self._database.connect()
        try:
            with translated():
                _, self._wal_pages, _ = self._checkpoints.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
        except DatabaseUnavailable:
            _drop(self._checkpoints)
            self._checkpoints = None
            raise

    def end_checkpoints(self) -> None:
        """Closes the checkpoints' connection; call it when nobody calls `checkpoint` any more."""
        _drop(self._checkpoints)
        self._checkpoints = None

    def bound_wal(self) -> None:
        """Finishes the checkpoint if the WAL has grown, so that the next write starts the WAL again.

        Call it between two groups.
        """
        if self._wal_pages > WAL_BOUND_PAGES:
            # In its turn: what others wrote meanwhile would be left over.
            with translated(), self._turn():
                self._open().exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
            self._wal_pages = 0

    def close(self) -> None:
        """Drops the connection; one that failed half-way must not be used again."""
        connection, self._connection = self._connection, None
        _drop(connection)

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.taken()

    def _can_move_no_more(self, chain_id: str) -> bool:
        """Whether no commit of that chain is under way; its process has ended, but PostgreSQL may not have noticed."""
        if self._database.is_sqlite:
            return True
        connection = self._database.connect()
        try:
            with translated():
                return has_lock(connection, chain_id, within_seconds=ENDED_WITHIN_SECONDS)
        finally:
            _drop(connection)

    def _open(self) -> Connection:
        if self._connection is None:
            connection = self._database.connect()
            try:
                self._prepare(connection)
            except BaseException:
                _drop(connection)
                raise
            self._connection = connection
        return self._connection

    def _prepare(self, connection: Connection) -> None:
        with translated():
            if self._database.is_sqlite:
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0").close()
                return
            if not has_lock(connection, self._chain_id):
                raise DatabaseUnavailable("the writer's connection before this one has not ended yet")


def _drop(connection: Connection | None) -> None:
    """Closes a connection for good, instead of giving it back to the pool."""
    if connection is not None:
        connection.invalidate()
        connection.close()


def _uncited_chains(
    session: Session, seen_before: datetime, ended: Collection[str]
) -> list[tuple[str, str | None, bool]]:
    """Returns chains whose last head may still move or was never cited: id, last head, whether the writer is gone."""
    # A query for each of these chains: grouping would read every batch that was ever written.
    last = select(func.max(Batch.number)).where(Batch.chain_id == Chain.id).correlate(Chain).scalar_subquery()
    query = (
        select(Chain.id, Chain.seen_at, Batch.head, Batch.sealed_at)
        .outerjoin(Batch, and_(Batch.chain_id == Chain.id, Batch.number == last))
        .where(Chain.cited_by.is_(None))
    )
    return [
        (id_, head, id_ in ended or (seen_at < seen_before and (sealed_at is None or sealed_at < seen_before)))
        for id_, seen_at, head, sealed_at in session.execute(query)
    ]


def _sqlite_value(index: int, name: str) -> str:
    value = f"json_extract(value, '$[{index}]')"
    return f"replace({value}, '-', '')" if name in _UUIDS else value


def _postgresql_type(name: str) -> str:
    return "uuid" if name in _UUIDS else "bigint" if name in _INTEGERS else "text"


def _postgresql_value(name: str) -> str:
    return "at::timestamp AT TIME ZONE 'UTC'" if name == "at" else _quoted(name)


def _quoted(name: str) -> str:
    return f'"{name}"'


# One text for any number of rows: it is prepared once, and the interpreter lock is released once per group.
_SQLITE_RECORDS = (
    f"INSERT INTO prediction_records ({', '.join(COLUMNS)})"  # noqa: S608  our own names
    f" SELECT {', '.join(map(_sqlite_value, range(len(COLUMNS)), COLUMNS))} FROM json_each(?)"
)
_BATCH_COLUMNS = "chain_id, number, sealed_at, size, root, head"
_SQLITE_BATCH = f"INSERT INTO batches ({_BATCH_COLUMNS}) VALUES (replace(?, '-', ''), ?, ?, ?, ?, ?)"  # noqa: S608  our own names
# This takes a record apart once; `->>` on an array would parse it again for each column, at six times the cost.
_POSTGRESQL_APPEND = (
    f"WITH appended AS (INSERT INTO prediction_records ({', '.join(map(_quoted, COLUMNS))})"  # noqa: S608  our own names
    f" SELECT {', '.join(map(_postgresql_value, COLUMNS))} FROM json_to_recordset(%s::json)"
    f" AS r({', '.join(f'{_quoted(name)} {_postgresql_type(name)}' for name in COLUMNS)}))"
    f" INSERT INTO batches ({_BATCH_COLUMNS}) VALUES (%s::uuid, %s, %s::timestamp AT TIME ZONE 'UTC', %s, %s, %s)"
)
