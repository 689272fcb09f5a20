"""Commits groups of records to the chain, and finds out whether a commit whose answer was lost was made.

Every method is called in the writer's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from audit.chain import SealedBatch, next_batch, origin
from audit.record import ANSWERED, Record, SealedRecord, owed_of, seal, withdrawal_of
from audit.waiting import MAX_GROUP
from db.database import Database, DatabaseUnavailable
from db.log_store import COLUMNS, LogStore
from values.instants import instant, instant_text, now_ms

MAX_OWED = 100_000

logger = logging.getLogger("adyton.audit")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A commit that has begun and that the database has not answered. `is_owed`: its records were owed to the log."""

    records: list[Record]
    batch: SealedBatch
    is_owed: bool


class Committer:
    """One chain: its last batch, the commit in doubt, and the records that are still owed to the log."""

    def __init__(self, database: Database, store: LogStore, chain_id: str, ended: Sequence[str] = ()) -> None:
        self._database = database
        self._store = store
        self.chain_id = chain_id
        self._ended = ended
        self._number, self._head = 0, ""
        self._doubt: Doubt | None = None
        self._owed: list[Record] = []

    def start(self) -> None:
        """Begins the chain. Raises `DatabaseUnavailable`."""
        started_at_ms = now_ms()
        cites = self._store.start_chain(self.chain_id, instant(started_at_ms), self._ended)
        self._head = origin(self.chain_id, instant_text(started_at_ms), cites)

    def commit(self, sealed: Sequence[SealedRecord]) -> int:
        """Writes one group, durably, and returns its batch's number.

        If it raises anything, only `recover` finds out whether the group was written.
        """
        number = self._commit(sealed, is_owed=False)
        try:
            self._store.bound_wal()
        except DatabaseUnavailable:
            # The group is durable, and its answers may leave. The next write finds out what is wrong.
            self._store.close()
        return number

    def owe(self, records: Sequence[Record]) -> None:
        """Takes records that nobody waits for, to be written when the log is back."""
        room = max(0, MAX_OWED - len(self._owed))
        if len(records) > room:
            logger.error("%d records of refusals are lost: the log has been away for too long", len(records) - room)
        self._owed += records[:room]

    def recover(self) -> None:
        """Settles the doubt and pays what is owed. Raises if the log cannot be written yet."""
        self.touch()
        self._settle()
        while self._owed:
            self._pay(self._owed[:MAX_GROUP])

    def touch(self) -> None:
        """Shows by writing that the log can be written, and that this writer lives."""
        if not self._database.has_room():
            raise DatabaseUnavailable("the disk is full")
        self._store.touch(self.chain_id)

    def close(self) -> None:
        """Drops the connection: one that failed must not be used again."""
        self._store.close()

    def _commit(self, sealed: Sequence[SealedRecord], *, is_owed: bool) -> int:
        batch = next_batch(self._number + 1, self._head, [each.leaf for each in sealed], now_ms())
        rows = [_row(each, self.chain_id, batch.number, index) for index, each in enumerate(sealed)]
        sealed_at = _sql_instant(batch.sealed_at_ms)
        self._doubt = Doubt([each.record for each in sealed], batch, is_owed)
        self._store.append(rows, (self.chain_id, batch.number, sealed_at, batch.size, batch.root, batch.head))
        self._adopt(batch)
        self._doubt = None
        return batch.number

    def _pay(self, records: list[Record]) -> None:
        try:
            self._commit([seal(record) for record in records], is_owed=True)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  the database refuses these records, for whatever reason
            # The database answers and refuses the batch. One bad record must not keep the others, and all callers, out.
            self._store.close()
            if len(records) == 1:
                logger.error("a record cannot be written and is lost: %s", type(error).__name__)  # noqa: TRY400  words hold values
                self._owed.remove(records[0])
                self._settle()
                return
            self._settle()
            for record in records:
                self._pay([record])
        else:
            del self._owed[: len(records)]

    def _settle(self) -> None:
        if self._doubt is None:
            return
        records, batch = self._doubt.records, self._doubt.batch
        has_landed = self._store.last_batch(self.chain_id) == (batch.number, batch.head)
        if has_landed:
            self._adopt(batch)
            if self._doubt.is_owed:
                del self._owed[: len(records)]
            else:
                self.owe([withdrawal_of(record) for record in records if record.outcome == ANSWERED])
        elif not self._doubt.is_owed:
            # Its answers were refused to their callers; the records that nobody waited for are still to be written.
            self.owe(owed_of(records))
        self._doubt = None

    def _adopt(self, batch: SealedBatch) -> None:
        self._number, self._head = batch.number, batch.head


def _row(sealed: SealedRecord, chain_id: str, batch_number: int, leaf_index: int) -> list[Any]:
    """The record's values in the order of `COLUMNS`."""
    record = sealed.record
    elsewhere = {
        "at": _sql_instant(record.at_ms),
        "client_digest": sealed.client_digest,
        "inputs_digest": sealed.inputs_digest,
        "outputs_digest": sealed.outputs_digest,
        "salt": sealed.salt,
        "leaf": sealed.leaf,
        "chain_id": chain_id,
        "batch_number": batch_number,
        "leaf_index": leaf_index,
    }
    return [elsewhere[name] if name in elsewhere else getattr(record, name) for name in COLUMNS]


def _sql_instant(at_ms: int) -> str:
    """An instant as SQLAlchemy writes it on SQLite; PostgreSQL reads it as UTC."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_sql_second(seconds)}.{ms:03}000"


@lru_cache(maxsize=8)
def _sql_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
