"""The steps before and after every route, in pure ASGI: a base class would cost more than the steps."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer_problem, problem_of
from api.http.forwarded import caller_address
from api.limit_fields import limit_fields
from program.parts import Parts
from serving.call import Call
from serving.problems import INTERNAL

Headers = Sequence[tuple[bytes, bytes]]

_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|\Z)")
_CLIENT_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
]
_API_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)

logger = logging.getLogger("adyton.api")


class Exchange:
    """Gives a request its id, its answer the headers that all answers have, and every refusal its form."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts
        self._header = parts.settings.forwarded_header
        self._proxies = parts.settings.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["adyton.parts"] = self._parts
        call = scope["adyton.call"] = Call(self._address(scope), _client_request_id(scope["headers"]))
        has_started = False

        async def send_dressed(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                self._dress(call, message)
            await send(message)

        try:
            _settle_path(scope)
            await self._app(scope, receive, send_dressed)
        except Exception as error:
            if has_started or problem_of(error) is INTERNAL:
                # The log shows the exception's type and trace, and not its message, which may hold a caller's values.
                logger.exception("request %s failed", call.request_id)
            if has_started:
                raise
            await (await answer_problem(Request(scope), error))(scope, receive, send_dressed)

    def _dress(self, call: Call, message: Message) -> None:
        headers = [*message["headers"], (b"x-request-id", call.request_id.encode("ascii")), *SECURITY_HEADERS]
        if not any(name == b"content-security-policy" for name, _ in message["headers"]):
            headers.append(_API_POLICY)
        if message["status"] in (200, 429):
            headers += limit_fields(call.limits())
        message["headers"] = headers

    def _address(self, scope: Scope) -> str:
        client = scope.get("client")
        peer: str = client[0] if client else ""
        return caller_address(peer, scope["headers"], self._header, self._proxies) if self._proxies else peer


def _settle_path(scope: Scope) -> None:
    """Leaves one path for each operation. Raises 404 where a `%2F` became a slash: a proxy in front saw another path.

    It also raises 404 for what no route's path has: control characters (a route's `$` matches before a line's end),
    characters outside ASCII, empty segments and dots.
    """
    path, raw_path = scope["path"], scope.get("raw_path", b"")
    if not _is_plain(path) or (b"%" in raw_path and raw_path.count(b"/") != path.count("/")):
        raise HTTPException(404)
    # A path may end in a slash. A redirect instead would repeat the client's own Host header.
    if path.endswith("/") and path != "/":
        scope["path"] = path[:-1]


def _is_plain(path: str) -> bool:
    """Whether it has only visible ASCII, no empty segment, and none that is `.` or `..`."""
    is_visible = path.isascii() and path.isprintable() and " " not in path
    return is_visible and "//" not in path and not ("/." in path and _DOT_SEGMENT.search(path))


def _client_request_id(headers: Headers) -> str | None:
    """The client's own id of this request, if it is short and printable; ours is a different one."""
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode("ascii") if _CLIENT_REQUEST_ID.fullmatch(value) else None
    return None
