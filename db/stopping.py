"""Queries that can be stopped from outside: at a deadline, or when nobody waits for their answer any more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection

#: SQLite asks this often whether to go on, counted in steps of its virtual machine: about once a millisecond.
STEPS_BETWEEN_LOOKS = 20_000
CANCEL_SECONDS = 2.0


class Stopped(Exception):
    """The query was stopped: its time was up, or nobody waits for its answer any more."""


class Stop:
    """The end of a reading: `seconds` after this was made, or when it is called, from whichever thread."""

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
        """Ends the reading; on PostgreSQL once the server is told as well."""
        self._is_called = True

    def tell_server(self) -> None:
        """Has PostgreSQL give up the query under way; waits for it for two seconds at most."""
        with self._lock:
            if self._server is not None:
                # A server that cannot be reached any more fails the query by itself.
                with suppress(Exception):
                    self._server.cancel_safe(timeout=CANCEL_SECONDS)

    @contextmanager
    def over(self, connection: Connection) -> Iterator[None]:
        """Inside the block, what is asked on this connection ends with the reading."""
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
            # The lock waits for a cancellation under way: it must not reach whoever gets the connection next.
            with self._lock:
                self._server = None
