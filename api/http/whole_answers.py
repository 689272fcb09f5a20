"""Writes a 200 with a JSON body in one piece, for the path of a prediction.

uvicorn's `send` takes an answer in two messages, and searches each header's name and value for characters that headers
must not have. Here the head is a template, whose few changing parts are made by this program.
"""

from __future__ import annotations

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.http.answer_headers import API_POLICY, SECURITY_HEADERS

#: The key of a scope under which the protocol leaves the request's cycle, if nothing between changes its answer.
CYCLE = "adyton.cycle"


class _Opening:
    """The head's first lines, with the headers that uvicorn gives to all answers; it makes new ones each second."""

    headers: list[tuple[bytes, bytes]] | None = None
    lines = b""


async def write_whole(
    cycle: RequestResponseCycle, request_id: str, limits: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    """Answers 200 with that JSON, and with the fields `limits`. Does otherwise what the cycle's `send` does."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    if _Opening.headers is not cycle.default_headers:
        _Opening.headers = cycle.default_headers
        _Opening.lines = b"HTTP/1.1 200 OK\r\n" + _lines(cycle.default_headers)
    cycle.transport.write(
        b"%bcontent-length: %d\r\nx-request-id: %b\r\n%b%b%b\r\n%b"
        % (
            _Opening.lines,
            len(body),
            request_id.encode("ascii"),
            _REST,
            _lines(limits),
            b"" if cycle.keep_alive else b"connection: close\r\n",
            body,
        )
    )
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


_REST = _lines([(b"content-type", b"application/json"), *SECURITY_HEADERS, API_POLICY])
