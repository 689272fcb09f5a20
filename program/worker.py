"""A worker, which is one of several processes that serve together, and its line to the supervisor that started it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple


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


class Worker:
    """This process as a worker. `id` names its chain and its places; `ended` are workers whose chains nobody has cited.

    `number` is the lowest one that no other worker has, from 1 to `of`; a successor takes its predecessor's.
    """

    def __init__(self, id_: str, number: int, of: int, ended: tuple[str, ...], line: Connection[Any, Any]) -> None:
        self.id = id_
        self.number = number
        self.of = of
        self.ended = ended
        self.crew = Crew(0, of)
        #: Called on the loop with the ids of workers that have ended since.
        self.on_ended: Callable[[tuple[str, ...]], None] = lambda _ids: None
        self._line = line

    def begin(self) -> None:
        """Tells the supervisor that this worker serves, and follows its words; to be called on the loop."""
        self._tell(Ready())
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._hear)

    def refuse(self, reason: str) -> None:
        """Tells the supervisor why this worker cannot serve."""
        self._tell(CannotServe(reason))

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
