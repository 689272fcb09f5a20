"""A worker, which is one of several processes that serve together, and its line to the supervisor that started it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from program.connection_counts import ConnectionCounts

#: A process that stops waits so long for the log's last commits: a frozen database must not hold it up.
CLOSE_SECONDS = 10.0


class Ready(NamedTuple):
    """From a worker: it serves."""


class CannotServe(NamedTuple):
    """From a worker: it ends, and why, in words for an operator."""

    reason: str


class Crew(NamedTuple):
    """From the supervisor: how many workers serve, how many are wanted, and the ids of those that have just ended."""

    ready: int
    wanted: int
    ended: tuple[str, ...] = ()


class Post(NamedTuple):
    """The facts that a worker is started with.

    `id` names its chain and its places under way; `ended` are workers whose chains nobody has cited yet. `number` is
    one of 1 to `of`; a successor takes its predecessor's. `entry` is its own in `counts`.
    """

    id: str
    number: int
    of: int
    ended: tuple[str, ...]
    counts: ConnectionCounts
    entry: int


class Worker:
    """This process as a worker."""

    def __init__(self, post: Post, line: Connection[Any, Any]) -> None:
        self.post = post
        self.crew = Crew(0, post.of)
        #: Called on the loop with the ids of workers that have ended since.
        self.on_ended: Callable[[tuple[str, ...]], None] = lambda _ids: None
        self._line = line

    def begin(self) -> None:
        """Tells the supervisor that this worker serves, and follows its words; to be called on the loop."""
        self.live()
        self._tell(Ready())
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._hear)

    def refuse(self, reason: str) -> None:
        """Tells the supervisor why this worker cannot serve."""
        self._tell(CannotServe(reason))

    def live(self) -> None:
        """Tells the other workers that this one accepts connections, and lives."""
        self.post.counts.live(self.post.entry)

    def end(self) -> None:
        """Tells the other workers that this one accepts no more."""
        self.post.counts.end(self.post.entry)

    def note_connections(self, count: int) -> None:
        self.post.counts.note(self.post.entry, count)

    def excess(self, count: int) -> int:
        """Returns by how many `count` is more connections than the worker with the fewest has."""
        return self.post.counts.excess(self.post.entry, count)

    def _tell(self, message: Ready | CannotServe) -> None:
        # A supervisor that is gone is noticed by the reader.
        with suppress(OSError):
            self._line.send(message)

    def _hear(self) -> None:
        """Takes the supervisor's words; ends as after SIGTERM when the supervisor is gone, however it ended."""
        try:
            while self._line.poll():
                self.crew = self._line.recv()
                if self.crew.ended:
                    self.on_ended(self.crew.ended)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            signal.raise_signal(signal.SIGTERM)
