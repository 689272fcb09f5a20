"""HTTP/1.1 on a socket, as far as requests go: bounds on what a client may send before any route sees it.

uvicorn keeps headers for as long as they come, however many (60 MB were accepted) and however slowly. It also takes a
body's trailer for headers, and queues pipelined requests without end. Here a head longer than `MAX_HEAD_BYTES` is
answered with 413, and one that does not end in time with 400. Where connections are too many, idle ones make room (see
`Connections`).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httptools

from api.http.connections import Connections
from api.http.endings import EndingProtocol
from api.http.plain_refusals import refusal
from serving.problems import MALFORMED_REQUEST, TOO_LARGE, TOO_MANY_CONNECTIONS, Problem

HEAD_SECONDS = 10.0
MAX_PIPELINED = 16
_HOP = {b"upgrade", b"http2-settings"}


class BoundedProtocol(EndingProtocol):
    """One connection. `max_head_bytes` bounds request line and headers as they arrive, and a body's trailer."""

    def __init__(
        self, *args: Any, max_head_bytes: int, connections: Connections, root_path: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, root_path=root_path, **kwargs)
        self._max_head_bytes = max_head_bytes
        self._all_connections = connections
        self._head_bytes = 0
        self._is_in_head = True
        self._is_message_over = True
        self._hosts = 0
        #: The bytes that have arrived with the newest message, and in the newest piece of data.
        self._arrived = self._piece = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        super().connection_made(transport)
        if not self._all_connections.admit(self, self.client[0] if self.client else ""):
            self._is_refused = True
            transport.write(refusal(TOO_MANY_CONNECTIONS, TOO_MANY_CONNECTIONS.explanation, self._prefix))
            transport.close()
            return
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all_connections.leave(self)
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(len(data))
            return
        # All data counts as head (request line, headers, a chunked body's trailer) until it proves to be body.
        self._piece = len(data)
        self._head_bytes += self._piece
        self._arrived += self._piece
        self._feed(data)
        if self._is_refused:
            return
        if self._is_in_head and self._is_message_over:
            # Between two messages, or just after one.
            self._head_bytes = 0
        if self._head_bytes > self._max_head_bytes:
            self._refuse(TOO_LARGE, "the head of the request is too long")
        elif self._is_in_head and self._head_bytes and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._is_refused:
                self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(MALFORMED_REQUEST, "the request breaks the rules of HTTP/1.1")

    def _decline_upgrade(self, rest: bytes) -> None:
        """Reads the same request again without its upgrade, which a server may ignore (RFC 9110, section 7.8).

        The parser expects another protocol after such a head: it would drop the body, or take it for the next request.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(MALFORMED_REQUEST, "this server is no proxy")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode("ascii"))]
        for name, value in self.headers:
            kept = _without_hops(value) if name == b"connection" else value
            if name not in _HOP and (kept or name != b"connection"):
                lines.append(name + b": " + kept)
        self.parser = httptools.HttpRequestParser(self)
        self._is_in_head = True
        again = b"\r\n".join([*lines, b"", b""]) + rest
        self._piece = len(again)
        self._feed(again)

    def on_message_begin(self) -> None:
        self._is_message_over = False
        self._hosts, self._arrived = 0, self._piece
        self._all_connections.begin(self)
        # Only now: a connection on which only empty lines arrive stays idle.
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer field is no header: no route reads it, and a credential in it would arrive after the check.
        if self._is_in_head:
            name = name.lower()
            if name == b"host":
                self._hosts += 1
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        # The head is measured only if everything that came with it, perhaps a body, is more than a head may be.
        is_too_long = self._arrived > self._max_head_bytes and self._measured_head() > self._max_head_bytes
        self._is_in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        if self._head_timer is not None:
            self._stop_head_timer()
        if b"#" in self.url:
            self._refuse(MALFORMED_REQUEST, "a request's target has no fragment")
        elif is_too_long:
            self._refuse(TOO_LARGE, "the head of the request is too long")
        elif self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            self._refuse(MALFORMED_REQUEST, "a request has one Host")
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(MALFORMED_REQUEST, "too many requests were sent before the first was answered")
        else:
            super().on_headers_complete()

    def _measured_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._is_in_head = True
        self._is_message_over = True
        super().on_message_complete()
        self._rest_if_idle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if not self._is_refused and self._is_message_over and self.cycle.response_complete:
            self._all_connections.rest(self)

    def is_flushed(self) -> bool:
        """Whether the client has taken everything that was written to it."""
        return self.transport.get_write_buffer_size() == 0

    def close_idle(self) -> None:
        """Closes the connection; to be called only while it is idle."""
        self.transport.close()

    def _refuse(self, problem: Problem, detail: str) -> None:
        self._stop_head_timer()
        super()._refuse(problem, detail)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_in_head and not self._is_refused and not self.transport.is_closing():
            if self._head_bytes:
                self._refuse(MALFORMED_REQUEST, "the head of the request did not arrive in time")
            elif self.cycle is None:
                self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _without_hops(connection: bytes) -> bytes:
    """The value of a `Connection` header without the tokens that belong to an upgrade."""
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(token for token in tokens if token.lower() not in _HOP)


def bounded_protocol(max_head_bytes: int, connections: Connections, root_path: str) -> Any:
    """Returns the protocol class as uvicorn calls it, with its bounds filled in."""
    return partial(BoundedProtocol, max_head_bytes=max_head_bytes, connections=connections, root_path=root_path)
