"""HTTP/1.1 on a socket: uvicorn's protocol, with bounds on what a request may send before anybody looks at it.

uvicorn keeps headers for as long as they come, however many (60 MB were accepted) and however slowly. Here a head
that passes `MAX_HEAD_BYTES` is answered with 413, one that does not end in time with 400, and what a refused client
still sends is discarded for a moment, so that it can read the answer, and then cut off.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import problem_body
from api.middleware import SECURITY_HEADERS
from api.problems import MALFORMED_REQUEST, TOO_LARGE, Problem
from db.ids import uuid7

HEAD_SECONDS = 10.0
LINGER_SECONDS = 2.0
MAX_DISCARDED_BYTES = 32 << 20


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `max_head_bytes` counts request line and headers as they arrive."""

    def __init__(self, *args: Any, max_head_bytes: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_head_bytes = max_head_bytes
        self._head_bytes = 0
        self._is_in_head = True
        self._is_message_over = True
        self._discarded_bytes = 0
        self._is_refused = False
        self._is_draining = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(len(data))
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self._max_head_bytes:
            self._refuse(TOO_LARGE, "the head of the request is too long")
        elif self._is_in_head and self._head_bytes and self._head_timer is None and not self._is_refused:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def on_message_begin(self) -> None:
        self._is_message_over = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._stop_head_timer()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._max_head_bytes:
            self._refuse(TOO_LARGE, "the head of the request is too long")
            return
        super().on_headers_complete()
        if self._is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._is_refused:
            return
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_in_head = True
        self._is_message_over = True
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_message_over:
            # Answered before its body was all there, as a 413 is: what is left of it may take a moment, not for ever.
            self.loop.call_later(LINGER_SECONDS, self._cut_off, self.cycle)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  ours says the same of every fault
        if not self._is_refused:
            self._refuse(MALFORMED_REQUEST, "the request breaks the rules of HTTP/1.1")

    def shutdown(self) -> None:
        """The server stops: what is under way is answered, and so is what was sent before the client could know."""
        self._is_draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS / 2, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _refuse(self, problem: Problem, detail: str) -> None:
        self._is_refused = True
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is on its way; another one behind it could be taken for its own.
            self.transport.close()
            return
        request_id = uuid7()
        body = problem_body(problem, detail, request_id, {})
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"connection", b"close"),
            (b"x-request-id", request_id.encode("ascii")),
            *SECURITY_HEADERS,
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        reason = b"Content Too Large" if problem.status == 413 else b"Bad Request"
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (problem.status, reason, lines, body))
        # Closing with unread data would reset the connection and take the answer from the client's hands.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.abort()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_in_head and not self.transport.is_closing():
            if self._head_bytes:
                self._refuse(MALFORMED_REQUEST, "the head of the request did not arrive in time")
            elif self.cycle is None:
                self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut_off(self, cycle: Any) -> None:
        if self.cycle is cycle and not self._is_message_over and not self.transport.is_closing():
            self.transport.abort()

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def bounded_protocol(max_head_bytes: int) -> Any:
    """The protocol class as uvicorn calls it, with its bound filled in."""
    return partial(BoundedProtocol, max_head_bytes=max_head_bytes)
