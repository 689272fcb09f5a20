"""HEAD wherever GET is (RFC 9110, section 9.3.2), and an `Allow` that names every method of a path (section 15.5.6)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def without_body(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Turns a HEAD into a GET: returns its scope, and a `send` that drops the body of the answer."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {"type": message["type"], "body": b"", "more_body": message.get("more_body", False)}
        await send(message)

    # A copy: the server reads the original to know whether to send a body.
    return {**scope, "method": "GET"}, send_head


class Allowing:
    """Completes the refusal of a method: the router names one route's methods, and a path may have several routes."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except HTTPException as refused:
            if refused.status_code != 405:
                raise
            methods = {method for route in self._routes for method in _methods_of(route, scope["path"])}
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(methods))}) from None


def _methods_of(route: BaseRoute, path: str) -> set[str]:
    if not isinstance(route, Route | Mount) or not route.path_regex.match(path):
        return set()
    methods = set(route.methods or ()) if isinstance(route, Route) else {"GET"}
    return methods | {"HEAD"} if "GET" in methods else methods
