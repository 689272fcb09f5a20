"""Records on their way to the log, and the handlers that wait for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from audit.chain import LogPosition
from audit.record import Record, withdrawal_of

GATHER_SECONDS = 0.002
MAX_GROUP = 512
MAX_GROUP_CHARACTERS = 8 << 20


class LogUnavailable(Exception):
    """The prediction log cannot be written: no prediction may leave."""


@dataclass(slots=True, eq=False)
class Entry:
    """A record on its way, and the future of whoever waits for it. Both flags are set under the queue's lock."""

    record: Record
    future: asyncio.Future[LogPosition] | None = None
    is_written: bool = False
    is_abandoned: bool = False


class WaitingRecords:
    """The queue between the handlers, which add records on the event loop, and the writer's thread, which takes them.

    `loop` is where the handlers wait, once it is known.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._entries: deque[Entry] = deque()
        self._wake = threading.Event()
        #: Whether the writer was woken, and has not looked at the queue since: waking it costs a dozen calls.
        self._is_woken = False
        self._lock = threading.Lock()
        self._last_group = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Adds an entry, and wakes the writer."""
        self._entries.append(entry)
        if not self._is_woken:
            self.wake()

    def add_all(self, records: Sequence[Record]) -> None:
        """Adds records that nobody waits for, for the writer's next round."""
        self._entries.extend(map(Entry, records))

    def wake(self) -> None:
        self._is_woken = True
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """Returns when the writer is woken, or after `seconds`."""
        # Event and mark are cleared, in this order, before the queue is looked at: whoever appends after that sets them
        # again, and what was appended before is seen.
        self._wake.wait(seconds)
        self._wake.clear()
        self._is_woken = False

    def abandon(self, entry: Entry, *, gives_back: bool) -> None:
        """Takes back an entry that its caller no longer waits for; if it is already written, adds its withdrawal.

        An entry whose charge stands is not taken back: it is written, and its withdrawal after it.
        """
        with self._lock:
            entry.record.gives_back = gives_back
            entry.is_abandoned = True
            is_written = entry.is_written
        if is_written:
            self.add(Entry(withdrawal_of(entry.record)))

    def take(self) -> list[Entry]:
        """The next group, bounded in records and in size, without those that were taken back."""
        self._gather()
        group: list[Entry] = []
        characters = 0
        while self._entries and len(group) < MAX_GROUP and characters < MAX_GROUP_CHARACTERS:
            entry = self._entries.popleft()
            if not entry.is_abandoned or not entry.record.gives_back:
                group.append(entry)
                characters += len(entry.record.inputs or "") + len(entry.record.outputs or "")
        self._last_group = len(group)
        return group

    def take_all(self) -> list[Entry]:
        """Every entry that is waiting."""
        return [self._entries.popleft() for _ in range(len(self._entries))]

    def answer(self, entries: Sequence[Entry], chain_id: str, batch_number: int) -> None:
        """Tells whoever waits that these were written, in this order, as that batch."""
        with self._lock:
            # Callers who give up from now on add the withdrawal themselves; for those before, it is added here.
            abandoned = [entry.record for entry in entries if entry.is_abandoned]
            for entry in entries:
                entry.is_written = True
        self.add_all([withdrawal_of(record) for record in abandoned])
        futures = [entry.future for entry in entries]
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(_tell_positions, futures, chain_id, batch_number)

    def refuse(self, entries: Sequence[Entry]) -> None:
        """Tells whoever waits that these were not written."""
        futures = [entry.future for entry in entries if entry.future is not None]
        if futures and self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(_tell_refusal, futures)

    def _gather(self) -> None:
        """Under load, a moment's wait fills the group; a lone caller is served at once."""
        expected = min(self._last_group, MAX_GROUP)
        deadline = time.perf_counter() + GATHER_SECONDS
        while 1 < expected > len(self._entries) and (left := deadline - time.perf_counter()) > 0:
            time.sleep(min(left, GATHER_SECONDS / 8))


def _tell_positions(futures: list[asyncio.Future[LogPosition] | None], chain_id: str, batch_number: int) -> None:
    for leaf_index, future in enumerate(futures):
        if future is not None and not future.done():
            future.set_result(LogPosition(chain_id, batch_number, leaf_index))


def _tell_refusal(futures: list[asyncio.Future[LogPosition]]) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(LogUnavailable())
