"""HTTP/1.1 on a socket, as far as a connection's end goes: uvicorn's protocol, which here ends in bounded time.

A client that has hung up half-way still gets its answers. A refused client may read the refusal: for a moment the
server discards what the client still sends, and then cuts it off. A client that takes no answer is cut off too.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.plain_refusals import refusal
from api.http.whole_answers import CYCLE
from serving.problems import Problem

#: A client has so long to read a refusal, or to send the rest of a request that was answered already.
LINGER_SECONDS = 2.0
#: A client has so long to make room for more of its answer.
WRITE_SECONDS = 30.0
MAX_DISCARDED_BYTES = 32 << 20


class EndingProtocol(HttpToolsProtocol):
    """One connection, which ends in time and does not lose an answer."""

    def __init__(self, *args: Any, root_path: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: For references in refusals. uvicorn would put its own `root_path` before every path.
        self._prefix = root_path
        #: Whether the newest request's head was accepted and its body has not arrived completely.
        self._is_body_open = False
        #: The request that is being answered; `cycle` is the newest one, which may have to wait for it.
        self._running: RequestResponseCycle | None = None
        self._discarded_bytes = 0
        self._is_refused = False
        self._is_draining = False
        self._write_timer: asyncio.TimerHandle | None = None

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes a bool here, and uvicorn declares None
        """Notes that the client sends no more; returns whether the connection stays open for answers that it awaits.

        The client may also be gone, which looks the same. Long work is then given up (see `hung_up`), and short work
        is answered.
        """
        if self._running is None or self._running.response_complete or self._is_body_open:
            return False
        self._running.message_event.set()
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.resume_writing()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._is_body_open = True
        if self._is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._is_refused:
            return
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_body_open = False
        if not self._is_refused:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.scope[CYCLE] = cycle  # type: ignore[literal-required]  # a key of ours
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            # uvicorn resumes reading even while requests still wait for their answers.
            self.flow.pause_reading()
        elif self._is_refused and (self._running is None or self._running.response_complete):
            self.transport.close()
        elif self.cycle.response_complete and self._is_body_open:
            # A 413, for example, is answered before the whole body has arrived: the rest may follow for a moment only.
            self.loop.call_later(LINGER_SECONDS, self._cut_off, self.cycle)

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
        """Stops with the server: answers requests under way, and those sent before the client can know of the stop."""
        self._is_draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_SECONDS / 2, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _refuse(self, problem: Problem, detail: str) -> None:
        """Accepts nothing more from this client; answers its earlier requests or, if none is open, refuses."""
        self._is_refused = True
        self.loop.call_later(WRITE_SECONDS, self.transport.abort)
        if self.transport.is_closing() or self._owes_an_answer():
            # The client could take a refusal behind the awaited answer for the answer itself.
            return
        self.transport.write(refusal(problem, detail, self._prefix))
        # Closing with unread data would reset the connection, and the client could lose the answer.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _owes_an_answer(self) -> bool:
        """Whether a complete request is being answered. Gives up a request whose own body is at fault."""
        if self._is_body_open:
            self._is_body_open = False
            if self.cycle is not self._running:
                # It waits for the others, and is the newest of those that do.
                self.pipeline.popleft()
            elif self.cycle.response_started:
                # Its answer has begun, as a 413's has: no refusal can follow.
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

    def _cut_off(self, cycle: Any) -> None:
        if self.cycle is cycle and self._is_body_open and not self.transport.is_closing():
            self.transport.abort()

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()
