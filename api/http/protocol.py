"""HTTP/1.1 on a socket: uvicorn's protocol, with bounds on what a request may send before anybody looks at it.

uvicorn keeps headers for as long as they come, however many (60 MB were accepted) and however slowly, takes a body's
trailer for headers, and queues pipelined requests without end. Here a head that passes `MAX_HEAD_BYTES` is answered
with 413, one that does not end in time with 400, and what a refused client still sends is discarded for a moment, so
that it can read the answer, and then cut off. Where there are too many connections, idle ones make room (see
`Connections`).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.connections import Connections
from api.http.plain_refusals import refusal
from serving.problems import MALFORMED_REQUEST, TOO_LARGE, TOO_MANY_CONNECTIONS, Problem

HEAD_SECONDS = 10.0
#: For a client to read a refusal, or to send the rest of what was answered already.
LINGER_SECONDS = 2.0
#: For a client to make room for more of its answer.
WRITE_SECONDS = 30.0
MAX_DISCARDED_BYTES = 32 << 20
MAX_PIPELINED = 16
_HOP = {b"upgrade", b"http2-settings"}


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `max_head_bytes` counts request line and headers as they arrive, and what follows a body."""

    def __init__(
        self, *args: Any, max_head_bytes: int, connections: Connections, root_path: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._max_head_bytes = max_head_bytes
        self._places = connections
        #: For references in answers; the server's own `root_path` would be put before every path.
        self._prefix = root_path
        self._head_bytes = 0
        self._is_in_head = True
        self._is_message_over = True
        #: Whether the newest request's head was taken and its body is not all there yet.
        self._is_body_open = False
        #: The request that is being answered; `cycle` is the newest, which may have to wait for it.
        self._running: RequestResponseCycle | None = None
        self._discarded_bytes = 0
        self._is_refused = False
        self._is_draining = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._places.admit(self, self.client[0] if self.client else ""):
            self._is_refused = True
            transport.write(refusal(TOO_MANY_CONNECTIONS, TOO_MANY_CONNECTIONS.explanation, self._prefix))
            transport.close()
            return
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; whether it is still owed answers, for which the connection stays.

        It may also be gone: the two look the same. What takes long is given up (see `hung_up`), the rest is answered.
        """
        if self._running is None or self._running.response_complete or self._is_body_open:
            return False
        self._running.message_event.set()
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        self._stop_head_timer()
        self.resume_writing()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discard(len(data))
            return
        # What is not body is head: line and headers, and after a chunked body its trailer.
        self._head_bytes += len(data)
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
        """An upgrade that is not served is no upgrade (RFC 9110, section 7.8): the same request without it.

        The parser takes what follows such a head for another protocol's, and so would drop the body, or take it for
        the next request.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(MALFORMED_REQUEST, "this server is no proxy")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode("ascii"))]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _HOP)  # noqa: PLW2901
            if name not in _HOP and (value or name != b"connection"):
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self._is_in_head = True
        self._feed(b"\r\n".join([*lines, b"", b""]) + rest)

    def on_message_begin(self) -> None:
        self._is_message_over = False
        self._places.begin(self)
        # Not before: an idle connection that only sends empty lines is an idle connection.
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer field is no header: nobody has asked for it, and a credential in it would come after its check.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._is_in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._stop_head_timer()
        if b"#" in self.url:
            self._refuse(MALFORMED_REQUEST, "a request's target has no fragment")
            return
        hosts = sum(name == b"host" for name, _ in self.headers)
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._max_head_bytes:
            self._refuse(TOO_LARGE, "the head of the request is too long")
        elif hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            self._refuse(MALFORMED_REQUEST, "a request has one Host")
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(MALFORMED_REQUEST, "too many requests were sent before the first was answered")
        else:
            super().on_headers_complete()
            self._is_body_open = True
            if self._is_draining:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._is_refused:
            return
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._is_in_head = True
        self._is_message_over = True
        self._is_body_open = False
        if not self._is_refused:
            super().on_message_complete()
            self._rest_if_idle()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            # It resumes reading whatever is still waiting to be answered.
            self.flow.pause_reading()
        elif self._is_refused and (self._running is None or self._running.response_complete):
            self.transport.close()
        elif self.cycle.response_complete and self._is_body_open:
            # Answered before its body was all there, as a 413 is: what is left of it may take a moment, not for ever.
            self.loop.call_later(LINGER_SECONDS, self._cut_off, self.cycle)
        self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if self._is_message_over and self.cycle.response_complete and not self._is_refused:
            self._places.rest(self)

    def is_flushed(self) -> bool:
        """Whether its client has taken all that was written to it."""
        return self.transport.get_write_buffer_size() == 0

    def close_idle(self) -> None:
        """Closes it; to be called only while it is idle."""
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that was idle for long, even if its client never takes its last answer."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def shutdown(self) -> None:
        """The server stops: what is under way is answered, and so is what was sent before the client could know."""
        self._is_draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS / 2, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _refuse(self, problem: Problem, detail: str) -> None:
        """Takes nothing more from this client; answers what it had asked before, or else this."""
        self._is_refused = True
        self._stop_head_timer()
        self.loop.call_later(WRITE_SECONDS, self.transport.abort)
        if self.transport.is_closing() or self._owes_an_answer():
            # Another answer behind the one that is on its way could be taken for its own.
            return
        self.transport.write(refusal(problem, detail, self._prefix))
        # Closing with unread data would reset the connection and take the answer from the client's hands.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _owes_an_answer(self) -> bool:
        """Whether an answer is under way to a request that was complete; one whose own body is at fault is given up."""
        if self._is_body_open:
            self._is_body_open = False
            if self.cycle is not self._running:
                # It waits for the others, and is the newest of those that do.
                self.pipeline.popleft()
            elif self.cycle.response_started:
                # Its answer has begun, as a 413's has: there is nothing more to say.
                self.transport.close()
                return True
            else:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
                return False
        return self._running is not None and not self._running.response_complete

    def _discard(self, count: int) -> None:
        self._discarded_bytes += count
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.abort()

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

    def _cut_off(self, cycle: Any) -> None:
        if self.cycle is cycle and self._is_body_open and not self.transport.is_closing():
            self.transport.abort()

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def bounded_protocol(max_head_bytes: int, connections: Connections, root_path: str) -> Any:
    """The protocol class as uvicorn calls it, with its bounds filled in."""
    return partial(BoundedProtocol, max_head_bytes=max_head_bytes, connections=connections, root_path=root_path)
