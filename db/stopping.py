"""Stops queries from outside: at a deadline, or when nobody waits for their answer any more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection

#: SQLite asks after so many steps of its virtual machine whether to go on: about once a millisecond.
STEPS_BETWEEN_LOOKS = 20_000
CANCEL_SECONDS = 2.0


class Stopped(Exception):
    """The query was stopped: its time was up, or nobody waits for its answer any more."""


class Stop:
    """Ends a reading `seconds` after this was made, or when any thread calls `call`."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._is_called = False
        self._lock = threading.Lock()
        self._server: Any = None

    def is_over(self) -> bool:
        """Whether the reading has to end."""
        return self._is_called or time.monotonic() >= self._ends_at

    def check(self) -> None:
        """Raises `Stopped` if the reading has to end."""
        if self.is_over():
            raise Stopped

    def call(self) -> None:
        """Ends the reading; on PostgreSQL `tell_server` must follow."""
        self._is_called = True

    def tell_server(self) -> None:
        """Tells PostgreSQL to give up the query under way; waits two seconds at most."""
        with self._lock:
            if self._server is not None:
                # If the server cannot be reached any more, the query fails by itself.
                with suppress(Exception):
                    self._server.cancel_safe(timeout=CANCEL_SECONDS)

    @contextmanager
    def over(self, connection: Connection) -> Iterator[None]:
        """Within the block, queries on this connection end with the reading."""
        self.check()
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            driver.set_progress_handler(self.is_over, STEPS_BETWEEN_LOOKS)
            try:
                yield
            finally:
                driver.set_progress_handler(None, 0)
            return
        left_ms = max(1, math.ceil((self._ends_at - time.monotonic()) * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {left_ms}")
        self._server = driver
        try:
            self.check()
            yield
        finally:
            # The lock waits for a cancellation under way, which must not hit the next user of the connection.
            with self._lock:
                self._server = None
