"""Browsers on other origins (the Fetch standard's CORS protocol): which may call, and what their scripts may read.

`Origins` stands outside the middleware, since every answer needs its fields, also a refusal that the middleware makes.
`Preflights` stands inside, since its answers need what the middleware gives to every answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.whole_answers import CYCLE

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADERS = ("Authorization", "Content-Type", "If-Match", "X-API-Key", "X-Request-ID")
#: A script may also send the headers that any page may send anywhere.
_LOWER_HEADERS = frozenset(name.lower() for name in (*_HEADERS, "Accept", "Accept-Language", "Content-Language"))
_READABLE = ("Allow", "ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID")
_MAX_AGE_SECONDS = 600


class PreflightRefused(Exception):
    """A browser asked whether a page may send a request, and the page may not."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Origins:
    """The outermost layer: lets scripts of allowed origins read the answers."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(origin.encode("ascii") for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = _only(scope, b"origin")
        fields = [(b"vary", b"Origin")]
        # Each answer has to pass through here.
        scope.pop(CYCLE, None)
        if origin in self._allowed:
            fields.append((b"access-control-allow-origin", origin))
            fields.append((b"access-control-expose-headers", ", ".join(_READABLE).encode("ascii")))

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        await self._app(scope, receive, send_dressed)


class Preflights:
    """Inside the middleware: answers a browser that asks before it sends. Raises `PreflightRefused`."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(origin.encode("ascii") for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            method = _only(scope, b"access-control-request-method")
            origin = _only(scope, b"origin")
            if method and origin:
                await self._answer(scope, origin, method.decode("latin-1"))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _answer(self, scope: Scope, origin: bytes, method: str) -> Response:
        if origin not in self._allowed:
            raise PreflightRefused("this origin may not call")
        if method not in _METHODS:
            raise PreflightRefused(f"the methods are {', '.join(_METHODS)}")
        asked = b",".join(value for name, value in scope["headers"] if name == b"access-control-request-headers")
        names = {name.strip().lower() for name in asked.decode("latin-1").split(",")} - {""}
        if not names <= _LOWER_HEADERS:
            raise PreflightRefused(f"the headers are {', '.join(_HEADERS)}")
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": ", ".join(_METHODS),
                "Access-Control-Allow-Headers": ", ".join(_HEADERS),
                "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
                "Vary": "Access-Control-Request-Method, Access-Control-Request-Headers",
            },
        )


def _only(scope: Scope, name: bytes) -> bytes:
    """The field's value; empty if the field is missing or was sent several times."""
    values = [value for each, value in scope["headers"] if each == name]
    return values[0] if len(values) == 1 else b""
