"""Group commit: many records, one transaction, and only then does everybody's answer leave.

Handlers append a record and await it. One thread takes all that is waiting (at once when nobody else is, gathering up
to 2 ms under load), seals it as a batch, writes it in one commit and wakes them. Where a commit fails, everybody in
the group is refused, and so is everybody after, until the log has been written again. A commit whose fate is unknown
is looked up then: if it did reach the database, its answers, which never left, are followed by withdrawals.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from audit.record import ANSWERED, Record, SealedRecord, instant_text, seal, withdrawal_of
from audit.refusals import Refusals
from audit.seal import SealedBatch, next_batch, origin
from db.database import Database, DatabaseUnavailable
from db.ids import instant, now_ms, uuid7
from db.log_store import LogStore

GATHER_SECONDS = 0.002
MAX_GROUP = 512
MAX_WAITING = 20_000
RETRY_SECONDS = 0.25
IDLE_SECONDS = 0.5
CHECKPOINT_SECONDS = 0.5

logger = logging.getLogger("adyton.audit")

Waiting = tuple[Record, "asyncio.Future[None] | None"]


class LogUnavailable(Exception):
    """The prediction log cannot be written: no prediction may leave."""


class LogWriter:
    """The one writer of a process. `append` is called on the event loop; all else happens in its own threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = LogStore(database)
        self._chain = ChainState()
        self._waiting: deque[Waiting] = deque()
        self._refusals = Refusals()
        self._probes: list[Future[bool]] = []
        self._wake = threading.Event()
        self._is_closing = False
        self._is_available = False
        self._in_doubt: tuple[list[Record], SealedBatch] | None = None
        self._owed: list[Record] = []
        self._last_group = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._run, name="log-writer", daemon=True),
            threading.Thread(target=self._checkpoint, name="log-checkpoint", daemon=True),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the chain and the threads. Raises `DatabaseUnavailable` if the log cannot be written."""
        self._loop = loop
        self._start_chain()
        self._is_available = True
        for thread in self._threads:
            thread.start()

    async def append(self, record: Record) -> None:
        """Returns once the record is durable. Raises `LogUnavailable`, after which it is not or will be withdrawn."""
        if not self._is_available or self._is_closing or len(self._waiting) >= MAX_WAITING:
            raise LogUnavailable
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
        self._wake.set()
        await future

    def note(self, record: Record) -> None:
        """Takes a refusal to be written, joined with its like of the same second; nobody waits for it."""
        self._refusals.add(record)

    async def flush(self) -> None:
        """Returns once the refusals noted so far are written, or the log is not available."""
        joined = self._refusals.take(up_to=None)
        if joined and self._is_available:
            waits = [self.append(record) for record in joined]
            await asyncio.gather(*waits, return_exceptions=True)

    async def probe(self) -> bool:
        """Whether the log can be written now, found out by writing."""
        probe: Future[bool] = Future()
        self._probes.append(probe)
        self._wake.set()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(probe), timeout=2)
        except TimeoutError:
            return False

    def close(self) -> None:
        """Writes what is waiting and stops. Blocks until it is done."""
        for record in self._refusals.take(up_to=None):
            self._waiting.append((record, None))
        self._is_closing = True
        self._wake.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._store.close()

    def _run(self) -> None:
        while not (self._is_closing and not self._waiting):
            # The event is cleared before the queue is looked at: what is appended after that sets it again.
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            for record in self._refusals.take(up_to=now_ms() // 1000):
                self._waiting.append((record, None))
            if not self._is_available and not self._recover():
                self._refuse_all()
                if self._is_closing:
                    return
                time.sleep(RETRY_SECONDS)
                self._wake.set()
                continue
            while self._waiting and self._is_available:
                self._gather()
                self._write([self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))])
            self._answer_probes()

    def _gather(self) -> None:
        """Under load, a moment's wait fills the group; a lone caller is served at once."""
        expected = min(self._last_group, MAX_GROUP)
        deadline = time.perf_counter() + GATHER_SECONDS
        while 1 < expected > len(self._waiting) and (left := deadline - time.perf_counter()) > 0:
            time.sleep(min(left, GATHER_SECONDS / 8))

    def _write(self, group: list[Waiting]) -> None:
        self._last_group = len(group)
        try:
            self._commit([record for record, _ in group])
        except Exception as error:  # noqa: BLE001  whatever went wrong, no answer of this group may leave
            self._fail(error)
            self._wake_up(group, LogUnavailable())
        else:
            self._wake_up(group, None)
            self._bound_wal()

    def _commit(self, records: Sequence[Record]) -> None:
        now = time.perf_counter()
        for record in records:
            record.latency_us = record.latency_us or round((now - record.started) * 1e6)
        sealed = [seal(record) for record in records]
        batch = self._chain.next([each.leaf for each in sealed])
        self._in_doubt = (list(records), batch)
        rows = [_row(each, self._chain.id, batch.number, index) for index, each in enumerate(sealed)]
        sealed_at = _sql_instant(now_ms())
        self._store.append(rows, (self._chain.id, batch.number, sealed_at, batch.size, batch.root, batch.head))
        self._chain.adopt(batch)
        self._in_doubt = None

    def _recover(self) -> bool:
        """Settles what is in doubt, and finds out by writing whether the log is back."""
        try:
            if not self._database.has_room():
                return False
            self._settle()
            self._store.touch(self._chain.id)
            while self._owed:
                self._commit(self._owed[:MAX_GROUP])
                del self._owed[:MAX_GROUP]
        except Exception as error:  # noqa: BLE001  it is not back, for whatever reason
            self._fail(error)
            return False
        logger.warning("the prediction log can be written again")
        self._is_available = True
        return True

    def _settle(self) -> None:
        if self._in_doubt is None:
            return
        records, batch = self._in_doubt
        last = self._store.last_batch(self._chain.id)
        if last == (batch.number, batch.head):
            self._chain.adopt(batch)
            if self._owed and records[0] is self._owed[0]:
                del self._owed[: len(records)]
            else:
                self._owed += [withdrawal_of(record) for record in records if record.outcome == ANSWERED]
        elif not (self._owed and records[0] is self._owed[0]):
            # Nobody was told of the refusals in it: they are written with the next group.
            self._owed += [record for record in records if record.outcome != ANSWERED]
        self._in_doubt = None

    def _fail(self, error: Exception) -> None:
        if self._is_available:
            logger.error("the prediction log cannot be written: %s", type(error).__name__)
        self._is_available = False
        self._store.close()

    def _refuse_all(self) -> None:
        kept = []
        while self._waiting:
            record, future = self._waiting.popleft()
            if future is None:
                kept.append(record)
            else:
                self._wake_up([(record, future)], LogUnavailable())
        self._owed = [*self._owed, *islice(kept, max(0, MAX_WAITING - len(self._owed)))]
        self._answer_probes()

    def _answer_probes(self) -> None:
        probes, self._probes = self._probes, []
        if probes and self._is_available:
            try:
                if not self._database.has_room():
                    raise DatabaseUnavailable("no room")  # noqa: TRY301
                self._store.touch(self._chain.id)
            except Exception as error:  # noqa: BLE001  the answer is no, for whatever reason
                self._fail(error)
        for probe in probes:
            if probe.set_running_or_notify_cancel():
                probe.set_result(self._is_available)

    def _wake_up(self, group: list[Waiting], error: LogUnavailable | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, group, error)

    def _resolve(self, group: list[Waiting], error: LogUnavailable | None) -> None:
        """On the event loop: lets each answer leave, or not. Whoever gave up waiting gets a withdrawal instead."""
        for record, future in group:
            if future is None:
                continue
            if future.cancelled() and error is None and record.outcome == ANSWERED:
                self._waiting.append((withdrawal_of(record), None))
                self._wake.set()
            elif not future.done():
                future.set_result(None) if error is None else future.set_exception(error)

    def _start_chain(self) -> None:
        chain_id, started_at_ms = uuid7(), now_ms()
        cites = self._store.start_chain(chain_id, instant(started_at_ms))
        self._chain = ChainState(chain_id, 0, origin(chain_id, instant_text(started_at_ms), cites))

    def _bound_wal(self) -> None:
        try:
            self._store.bound_wal()
        except DatabaseUnavailable as error:
            self._fail(error)

    def _checkpoint(self) -> None:
        """Beside the writer, so that no commit waits for it."""
        while not self._is_closing:
            time.sleep(CHECKPOINT_SECONDS)
            try:
                self._store.checkpoint()
            except DatabaseUnavailable:
                # The writer finds out for itself, and says so.
                continue


class ChainState:
    """Where this writer's chain stands: the number and head of its last batch."""

    def __init__(self, chain_id: str = "", number: int = 0, head: str = "") -> None:
        self.id = chain_id
        self._number = number
        self._head = head

    def next(self, leaves: Sequence[str]) -> SealedBatch:
        return next_batch(self._number + 1, self._head, leaves)

    def adopt(self, batch: SealedBatch) -> None:
        self._number, self._head = batch.number, batch.head


def _row(sealed: SealedRecord, chain_id: str, batch_number: int, leaf_index: int) -> list[Any]:
    """The record in the order of `db.log_store.COLUMNS`."""
    record = sealed.record
    return [
        _sql_instant(record.at_ms), record.request_id, record.client_request_id, record.tenant_id, record.key_id,
        record.subject, record.model_id, record.version_id, record.artifact_sha256, record.route, record.rows,
        record.count, record.outcome, record.status, record.latency_us, record.inference_us, record.address,
        record.fingerprint, sealed.client_digest, sealed.inputs_digest, sealed.outputs_digest, sealed.salt,
        record.inputs, record.outputs, sealed.leaf, chain_id, batch_number, leaf_index,
    ]  # fmt: skip


def _sql_instant(at_ms: int) -> str:
    """As SQLAlchemy writes an instant on SQLite; PostgreSQL reads it as UTC."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at_ms % 1000:03}000"
