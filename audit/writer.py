"""Group commit: many records, one transaction, and only then does everybody's answer leave.

Handlers append a record and await it. One thread takes all that is waiting (at once when nobody else is, gathering up
to 2 ms under load), seals it as a batch, writes it in one commit and wakes them. Where a commit fails, everybody in
the group is refused, and so is everybody after, until the log has been written again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from audit.committer import MAX_GROUP, Committer
from audit.record import ANSWERED, Record, SealedRecord, seal, withdrawal_of
from audit.refusals import Refusals
from db.database import Database, DatabaseUnavailable
from db.log_store import LogStore
from values.instants import now_ms

GATHER_SECONDS = 0.002
MAX_GROUP_CHARACTERS = 8 << 20
MAX_WAITING = 20_000
RETRY_SECONDS = 0.25
IDLE_SECONDS = 0.5
TOUCH_SECONDS = 20.0
CHECKPOINT_SECONDS = 0.5

logger = logging.getLogger("adyton.audit")


class LogUnavailable(Exception):
    """The prediction log cannot be written: no prediction may leave."""


@dataclass(slots=True, eq=False)
class Entry:
    """A record on its way, and whoever waits for it. Written and abandoned are told apart under the writer's lock."""

    record: Record
    future: asyncio.Future[None] | None = None
    is_written: bool = False
    is_abandoned: bool = False


class LogWriter:
    """The one writer of a process. `append` is called on the event loop; all else happens in its own threads."""

    def __init__(self, database: Database, store: LogStore | None = None) -> None:
        self._store = store or LogStore(database)
        self._committer = Committer(database, self._store)
        self._waiting: deque[Entry] = deque()
        self._refusals = Refusals()
        self._probes: list[Future[bool]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._is_available = False
        self._last_group = 0
        self._touched_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._run, name="log-writer", daemon=True),
            threading.Thread(target=self._checkpoint, name="log-checkpoint", daemon=True),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the chain and the threads. Raises `DatabaseUnavailable` if the log cannot be written."""
        self._loop = loop
        self._committer.start()
        self._is_available = True
        for thread in self._threads:
            thread.start()

    async def append(self, record: Record) -> None:
        """Returns once the record is durable. Raises `LogUnavailable`, after which it is not, or will be withdrawn.

        Whoever gives up waiting (is cancelled) is not answered either: the record is taken back or withdrawn.
        """
        if not self._is_available or self._is_closing or len(self._waiting) >= MAX_WAITING:
            raise LogUnavailable
        entry = Entry(record, asyncio.get_running_loop().create_future())
        self._enqueue(entry)
        try:
            await entry.future  # type: ignore[misc]
        except asyncio.CancelledError:
            self._abandon(entry)
            raise

    def note(self, record: Record) -> None:
        """Takes a refusal to be written, joined with its like of the same second; nobody waits for it."""
        self._refusals.add(record)

    async def flush(self) -> None:
        """Writes the refusals noted so far; returns when that is done, or the log is not available."""
        if not self._is_available or self._is_closing:
            return
        loop = asyncio.get_running_loop()
        entries = [Entry(record, loop.create_future()) for record in self._refusals.take(up_to=None)]
        for entry in entries:
            self._enqueue(entry)
        # Where the log fails meanwhile, they are owed to it: nobody is told of them.
        await asyncio.gather(*(entry.future for entry in entries if entry.future), return_exceptions=True)

    async def probe(self) -> bool:
        """Whether the log can be written now, found out by writing."""
        probe: Future[bool] = Future()
        self._probes.append(probe)
        self._wake.set()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(probe), timeout=2)
        except TimeoutError:
            return False

    def close(self, timeout_seconds: float) -> None:
        """Writes what is waiting and stops; gives up after `timeout_seconds` if the database does not answer."""
        for record in self._refusals.take(up_to=None):
            self._waiting.append(Entry(record))
        self._is_closing = True
        self._wake.set()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            logger.error("the log's writer did not end in time")
        else:
            self._committer.close()

    def _enqueue(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self._wake.set()

    def _abandon(self, entry: Entry) -> None:
        with self._lock:
            entry.is_abandoned = True
            is_written = entry.is_written
        if is_written:
            self._enqueue(Entry(withdrawal_of(entry.record)))

    def _run(self) -> None:
        while not (self._is_closing and not self._waiting):
            # The event is cleared before the queue is looked at: what is appended after that sets it again.
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            for record in self._refusals.take(up_to=now_ms() // 1000):
                self._waiting.append(Entry(record))
            if self._is_available or self._recover():
                while self._waiting and self._is_available:
                    self._gather()
                    self._write(self._take())
                self._stay_in_touch()
            else:
                self._refuse_all()
                if self._is_closing:
                    break
                time.sleep(RETRY_SECONDS)
                self._wake.set()
            self._answer_probes()

    def _gather(self) -> None:
        """Under load, a moment's wait fills the group; a lone caller is served at once."""
        expected = min(self._last_group, MAX_GROUP)
        deadline = time.perf_counter() + GATHER_SECONDS
        while 1 < expected > len(self._waiting) and (left := deadline - time.perf_counter()) > 0:
            time.sleep(min(left, GATHER_SECONDS / 8))

    def _take(self) -> list[Entry]:
        """The next group, bounded in records and in size, without those that nobody waits for any more."""
        group: list[Entry] = []
        characters = 0
        while self._waiting and len(group) < MAX_GROUP and characters < MAX_GROUP_CHARACTERS:
            entry = self._waiting.popleft()
            if not entry.is_abandoned:
                group.append(entry)
                characters += len(entry.record.inputs or "") + len(entry.record.outputs or "")
        return group

    def _write(self, group: list[Entry]) -> None:
        self._last_group = len(group)
        entries, sealed = self._seal(group)
        if not entries:
            return
        try:
            self._committer.commit(sealed)
        except Exception as error:  # noqa: BLE001  whatever went wrong, no answer of this group may leave
            self._fail(error)
            self._resolve(entries, LogUnavailable())
            return
        with self._lock:
            # Whoever gives up from now on sees to the withdrawal; for those before, it is seen to here.
            abandoned = [entry.record for entry in entries if entry.is_abandoned]
            for entry in entries:
                entry.is_written = True
        self._waiting.extend(Entry(withdrawal_of(record)) for record in abandoned)
        self._resolve(entries, None)

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
                logger.error("a record cannot be sealed: %s", type(error).__name__)  # noqa: TRY400
                self._resolve([entry], LogUnavailable())
        return entries, sealed

    def _recover(self) -> bool:
        try:
            self._committer.recover()
        except Exception as error:  # noqa: BLE001  it is not back, for whatever reason
            self._fail(error)
            return False
        logger.warning("the prediction log can be written again")
        self._is_available = True
        return True

    def _stay_in_touch(self) -> None:
        """Other writers take one that has written nothing for a minute for gone."""
        if self._probes or time.monotonic() - self._touched_at > TOUCH_SECONDS:
            try:
                self._committer.touch()
                self._touched_at = time.monotonic()
            except Exception as error:  # noqa: BLE001  the log cannot be written, for whatever reason
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._is_available:
            logger.error("the prediction log cannot be written: %s", type(error).__name__)
        self._is_available = False
        self._committer.close()

    def _refuse_all(self) -> None:
        entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
        kept = [entry.record for entry in entries if entry.record.outcome != ANSWERED and not entry.is_abandoned]
        self._committer.owe(kept)
        self._resolve(entries, LogUnavailable())

    def _answer_probes(self) -> None:
        probes, self._probes = self._probes, []
        for probe in probes:
            if probe.set_running_or_notify_cancel():
                probe.set_result(self._is_available)

    def _resolve(self, entries: list[Entry], error: LogUnavailable | None) -> None:
        futures = [entry.future for entry in entries if entry.future is not None]
        if futures and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_set, futures, error)

    def _checkpoint(self) -> None:
        """Beside the writer, so that no commit waits for it."""
        while not self._is_closing:
            time.sleep(CHECKPOINT_SECONDS)
            try:
                self._store.checkpoint()
            except DatabaseUnavailable:
                # The writer finds out for itself, and says so.
                continue


def _set(futures: list[asyncio.Future[None]], error: LogUnavailable | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
