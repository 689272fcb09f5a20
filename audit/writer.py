"""Group commit: many records are written in one transaction, and only then do their answers leave.

A handler appends a record and waits. One thread takes all records that are waiting (a single one at once; under load it
gathers for up to 2 ms), seals them as a batch, writes the batch in one commit and wakes the handlers. Where a commit
fails, the whole group is refused, and so is every record after it, until the log can be written again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from audit.chain import LogPosition
from audit.committer import Committer
from audit.hours import HourSums
from audit.record import Record, SealedRecord, owed_of, seal
from audit.refusals import Refusals
from audit.waiting import MAX_GROUP, Entry, LogUnavailable, WaitingRecords
from db.database import Database, DatabaseUnavailable
from db.log_store import LogStore
from values.alarms import LOG_CANNOT_BE_WRITTEN
from values.ids import uuid7
from values.instants import now_ms
from values.pace import Pace

MAX_WAITING = 20_000
RETRY_SECONDS = 0.25
IDLE_SECONDS = 0.5
TOUCH_SECONDS = 20.0
#: Whoever reads the log waits no longer for the refusals of this moment.
FLUSH_SECONDS = 5.0
CHECKPOINT_SECONDS = 0.5

T = TypeVar("T")

logger = logging.getLogger("adyton.audit")


class LogWriter:
    """The one writer of a process. `append` is called on the event loop; all else happens in its own threads.

    `ended` are chains whose writers are known to have ended: the new chain cites them for good.
    """

    def __init__(
        self, database: Database, store: LogStore | None = None, *, chain_id: str = "", ended: Sequence[str] = ()
    ) -> None:
        self._store = store or LogStore(database)
        self._committer = Committer(database, self._store, chain_id or uuid7(), ended)
        self._waiting = WaitingRecords()
        self._refusals = Refusals()
        self._hours = HourSums(database)
        self._probes: list[Future[bool]] = []
        self._flushes: list[Future[None]] = []
        self._is_closing = False
        self._has_closed = threading.Event()
        self._is_available = False
        self._touched_at = 0.0
        self._pace = Pace()
        #: The time at which the group under way was begun, by `time.perf_counter`; None between two groups.
        self._begun: float | None = None
        self._threads = [
            threading.Thread(target=self._run, name="log-writer", daemon=True),
            threading.Thread(target=self._checkpoint, name="log-checkpoint", daemon=True),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the chain and the threads. Raises `DatabaseUnavailable` if the log cannot be written."""
        self._waiting.loop = loop
        self._committer.start()
        self._is_available = True
        for thread in self._threads:
            thread.start()
        self._hours.start(self._committer.chain_id)

    async def append(self, record: Record, gives_back: Callable[[], bool] = lambda: True) -> LogPosition:
        """Returns the record's position in the log, once it is durable.

        Raises `LogUnavailable`, after which it is not durable, or will be withdrawn. A caller that gives up waiting
        (is cancelled) must not answer either: the record is taken back or withdrawn. `gives_back` then says whether its
        charge is given back; a charge that stands is in the log, whatever becomes of its answer.
        """
        if not self._is_available or self._is_closing or len(self._waiting) >= MAX_WAITING:
            raise LogUnavailable
        future: asyncio.Future[LogPosition] = asyncio.get_running_loop().create_future()
        entry = Entry(record, future)
        self._waiting.add(entry)
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.abandon(entry, gives_back=gives_back())
            raise

    def wait_seconds(self, now: float) -> float:
        """How long a record that comes now, by `time.perf_counter`, is likely to wait.

        A group that takes longer than its like, since the database stands still, is expected to take as long again.
        """
        begun, waiting = self._begun, len(self._waiting)
        if waiting < MAX_GROUP and begun is None:
            return 0.0
        so_far = 0.0 if begun is None else now - begun
        return max(so_far, self._pace.wait_seconds(waiting / MAX_GROUP))

    def note(self, record: Record) -> None:
        """Takes a refusal to be written, joined with its like of the same second; nobody waits for it."""
        self._refusals.add(record)

    async def flush(self) -> None:
        """Writes the refusals noted so far; returns when that is done, or the log is not available."""
        if not self._is_available or self._is_closing:
            return
        self._waiting.add_all(self._refusals.take(up_to=None))
        # The writer may be about to write what it took a moment ago: its next round comes after that.
        done: Future[None] = Future()
        self._flushes.append(done)
        self._waiting.wake()
        # If the log fails meanwhile, they are written when it is back; nobody waits for them.
        await asyncio.wait([asyncio.wrap_future(done)], timeout=FLUSH_SECONDS)

    async def probe(self) -> bool:
        """Whether the log can be written now, found out by writing."""
        probe: Future[bool] = Future()
        self._probes.append(probe)
        self._waiting.wake()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(probe), timeout=2)
        except TimeoutError:
            return False

    def close(self, timeout_seconds: float) -> None:
        """Writes what is waiting and stops; gives up after `timeout_seconds` if the database does not answer."""
        self._waiting.add_all(self._refusals.take(up_to=None))
        self._is_closing = True
        self._has_closed.set()
        self._waiting.wake()
        deadline = time.monotonic() + timeout_seconds
        self._hours.close(timeout_seconds)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            logger.error("the log's writer did not end in time")
        else:
            self._committer.close()
            self._store.end_checkpoints()

    def _run(self) -> None:
        while not (self._is_closing and not self._waiting):
            self._waiting.wait(IDLE_SECONDS)
            flushes, self._flushes = self._flushes, []
            self._waiting.add_all(self._refusals.take(up_to=now_ms() // 1000))
            if self._is_available or self._recover():
                while self._waiting and self._is_available:
                    self._write(self._waiting.take())
                self._stay_in_touch()
            else:
                self._refuse_all()
                if self._is_closing:
                    break
                time.sleep(RETRY_SECONDS)
                self._waiting.wake()
            self._answer_probes()
            _answer(flushes, None)

    def _write(self, group: list[Entry]) -> None:
        self._begun = begun = time.perf_counter()
        entries, sealed = self._seal(group)
        if not entries:
            self._begun = None
            return
        try:
            batch_number = self._committer.commit(sealed)
        except Exception as error:  # noqa: BLE001  whatever went wrong, no answer of this group may leave
            self._fail(error)
            self._waiting.refuse(entries)
        else:
            self._waiting.answer(entries, self._committer.chain_id, batch_number)
        self._begun = None
        self._pace.took(time.perf_counter() - begun)

    def _seal(self, group: list[Entry]) -> tuple[list[Entry], list[SealedRecord]]:
        """Seals each record; one that cannot be is refused alone."""
        now = time.perf_counter()
        entries, sealed = [], []
        for entry in group:
            record = entry.record
            record.latency_us = record.latency_us or round((now - record.started) * 1e6)
            try:
                sealed.append(seal(record))
                entries.append(entry)
            except Exception as error:  # noqa: BLE001  one record must not refuse the others
                logger.error("a record cannot be sealed: %s", type(error).__name__)  # noqa: TRY400  words hold values
                self._waiting.refuse([entry])
        return entries, sealed

    def _recover(self) -> bool:
        try:
            self._committer.recover()
        except Exception as error:  # noqa: BLE001  the log is not back, for whatever reason
            self._fail(error)
            return False
        logger.warning("the prediction log can be written again")
        self._is_available = True
        return True

    def _stay_in_touch(self) -> None:
        """Writes now and then: other writers take a writer that was silent for a minute for dead."""
        if self._probes or time.monotonic() - self._touched_at > TOUCH_SECONDS:
            try:
                self._committer.touch()
                self._touched_at = time.monotonic()
            except Exception as error:  # noqa: BLE001  the log cannot be written, for whatever reason
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._is_available:
            logger.error("%s: %s", LOG_CANNOT_BE_WRITTEN, type(error).__name__)
        self._is_available = False
        self._committer.close()

    def _refuse_all(self) -> None:
        entries = self._waiting.take_all()
        self._committer.owe(owed_of([entry.record for entry in entries]))
        self._waiting.refuse(entries)

    def _answer_probes(self) -> None:
        probes, self._probes = self._probes, []
        _answer(probes, self._is_available)

    def _checkpoint(self) -> None:
        """Beside the writer, so that no commit waits for it."""
        while not self._has_closed.wait(CHECKPOINT_SECONDS):
            try:
                self._store.checkpoint()
            except DatabaseUnavailable:
                # The writer finds out for itself, and says so.
                continue


def _answer(futures: Sequence[Future[T]], result: T) -> None:
    """Tells those who still wait."""
    for future in futures:
        if future.set_running_or_notify_cancel():
            future.set_result(result)
