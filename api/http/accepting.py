"""Accepts connections from sockets that several workers share, so that each worker gets a fair part of them.

An event loop's own server takes every connection that waits, in one go: the worker that wakes first would take all of a
burst, and serve it alone. Here a worker takes one for each turn of its loop. A busy worker's turns are longer, so it
takes fewer. Connections that wait belong to no worker, and are not lost when one ends.
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

logger = logging.getLogger("adyton.api")


class SharedListener:
    """Accepts from one shared socket until it is closed. The socket itself stays open in the other processes."""

    def __init__(self, listener: socket.socket, new_protocol: Callable[[], EndingProtocol]) -> None:
        self._listener = listener
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Accepts no more; what was accepted already is told to end like any other connection."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    async def wait_closed(self) -> None:
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another worker was faster, or the client is gone.
            return
        except OSError as error:
            logger.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400  the reason says enough
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(PAUSE_SECONDS, self._go_on)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._take(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _go_on(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    async def _take(self, connection: socket.socket) -> None:
        with suppress(OSError):
            _, protocol = await self._loop.connect_accepted_socket(self._new_protocol, connection)
            if self._is_closed:
                # The server has told its connections to end, and did not know of this one.
                protocol.shutdown()
