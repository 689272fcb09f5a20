"""Accepts connections from sockets that several workers share, so that each worker gets a fair part of them.

An event loop's own server takes every connection that waits, in one go: the worker that wakes first would take all of a
burst, and serve it alone. Here a worker takes one for each turn of its loop, and one that has more than others leaves
them a moment to be faster. Connections that wait belong to no worker, and are not lost when one ends.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from api.http.endings import EndingProtocol

#: Without a file for a connection, accepting again at once would only fail again.
PAUSE_SECONDS = 1.0
#: A worker waits so long for each connection that it has more than the one with the fewest, and never longer than that.
YIELD_SECONDS = 0.001
MOST_YIELD_SECONDS = 0.02

logger = logging.getLogger("adyton.api")


class SharedListener:
    """Accepts from one shared socket until it is closed. The socket itself stays open in the other processes."""

    def __init__(
        self, listener: socket.socket, new_protocol: Callable[[], EndingProtocol], excess: Callable[[int], int]
    ) -> None:
        self._listener = listener
        self._new_protocol = new_protocol
        #: By how many connections, of which so many are just arriving, this worker has more than the others.
        self._excess = excess
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._loop.add_reader(listener.fileno(), self._see)

    def close(self) -> None:
        """Takes what waits now, and accepts no more; the connections that are just arriving are told to end.

        What waits may be nobody else's: if every worker ends, the system resets the connections that none has taken.
        """
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener.fileno())
            while self._accept():
                pass
            self._listener.close()

    async def wait_closed(self) -> None:
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _see(self) -> None:
        excess = self._excess(len(self._arriving))
        if excess:
            self._rest(min(MOST_YIELD_SECONDS, excess * YIELD_SECONDS))
        else:
            self._accept()

    def _rest(self, seconds: float) -> None:
        """Leaves what waits to the others for a moment, and then takes one, if one still waits."""
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._see)
            self._accept()

    def _accept(self) -> bool:
        """Accepts one connection; returns False if it got none."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another worker was faster, or the client is gone.
            return False
        except OSError as error:
            logger.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400  the reason says enough
            self._rest(PAUSE_SECONDS)
            return False
        connection.setblocking(False)
        task = self._loop.create_task(self._take(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        return True

    async def _take(self, connection: socket.socket) -> None:
        with suppress(OSError):
            _, protocol = await self._loop.connect_accepted_socket(self._new_protocol, connection)
            if self._is_closed:
                # The server has told its connections to end, and did not know of this one.
                protocol.shutdown()
