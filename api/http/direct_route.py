"""A route that solves its dependencies without FastAPI's per-request machinery, for the path of a prediction.

FastAPI inspects the same declarations again for every request, which costs more than the prediction. At start-up it
makes a tree of them, the one that OpenAPI shows; here that tree becomes one coroutine. Declarations that this file
cannot fill are refused at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import problems
from serving.facts import TransportRefusal

MAX_QUERY_FIELDS = 50

Solver = Callable[[Request], Awaitable[Any]]


class DuplicateParameter(TransportRefusal):
    """A query parameter was given more than once, or the query has more fields than any route takes."""

    problem = problems.MALFORMED_REQUEST


class DirectRoute(APIRoute):
    """An `APIRoute` whose endpoint takes the request, path and optional query strings, and async dependencies.

    One of the dependencies may be a block (an asynchronous generator) around all that follows it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        solve = solver(self.dependant)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            response: Response = await solve(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = respond


class DirectRoutes:
    """Hands requests to direct routes, and all others to the router behind, which would find the same routes."""

    def __init__(self, otherwise: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._otherwise = otherwise
        self._routes = [route for route in routes if isinstance(route, DirectRoute)]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and not scope.get("root_path"):
            method, path = scope["method"], scope["path"]
            for route in self._routes:
                match = route.path_regex.match(path) if method in (route.methods or ()) else None
                if match is not None:
                    scope["path_params"], scope["endpoint"], scope["route"] = match.groupdict(), route.endpoint, route
                    return route.app(scope, receive, send)
        return self._otherwise(scope, receive, send)


class JsonBytes(Response):
    """A 200 with a body that is already JSON. It skips the general response's preparations, which cost 20 µs."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def solver(dependant: Dependant) -> Solver:
    """A coroutine function that calls what `dependant` describes, with its dependencies solved first.

    Of an asynchronous generator it returns the generator, which has not begun. Nothing is looked up again at a request.
    """
    call = dependant.call
    blocks = [(each.name or "", solver(each)) for each in dependant.dependencies if _is_generator(each.call)]
    if call is None or not (_is_async(call) or _is_generator(call)) or len(blocks) > 1 or _unsupported(dependant):
        raise TypeError(f"a direct route cannot fill the parameters of {call}")
    below = [(each.name or "", solver(each)) for each in dependant.dependencies if not _is_generator(each.call)]
    fill = _filler(dependant)

    async def generate(request: Request) -> Any:
        values = {name: await dependency(request) for name, dependency in below}
        fill(request, values)
        return call(**values)

    async def solve(request: Request) -> Any:
        values = {name: await dependency(request) for name, dependency in below}
        fill(request, values)
        return await call(**values)

    async def solve_within(request: Request) -> Any:
        values = {name: await dependency(request) for name, dependency in below}
        ((name, dependency),) = blocks
        generator = await dependency(request)
        values[name] = await anext(generator)
        try:
            fill(request, values)
            answer = await call(**values)
        except BaseException as error:
            # It ends the block that it has entered, which may raise another fact instead.
            await generator.athrow(error)
            raise
        await anext(generator, None)
        return answer

    return generate if _is_generator(call) else solve_within if blocks else solve


def _filler(dependant: Dependant) -> Callable[[Request, dict[str, Any]], None]:
    """Fills in the request, and what stands in its path and its query."""
    request_names = [each for each in (dependant.request_param_name, dependant.http_connection_param_name) if each]
    paths = [(field.name, field.alias) for field in dependant.path_params]
    queries = [(field.name, field.alias) for field in dependant.query_params]
    absent = {name: None for name, _ in queries}

    def fill(request: Request, values: dict[str, Any]) -> None:
        for name in request_names:
            values[name] = request
        for name, alias in paths:
            values[name] = request.scope["path_params"][alias]
        values |= absent
        if absent and (query_string := request.scope["query_string"]):
            given = _query(query_string)
            for name, query in queries:
                if query in given:
                    values[name] = given[query]

    return fill


def _query(query_string: bytes) -> dict[str, str]:
    try:
        given = parse_qs(
            query_string.decode("latin-1"), keep_blank_values=True, errors="replace", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise DuplicateParameter from None
    if any(len(values) > 1 for values in given.values()):
        raise DuplicateParameter
    return {name: values[0] for name, values in given.items()}


def _is_generator(call: Any) -> bool:
    return inspect.isasyncgenfunction(call)


def _is_async(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004  `callable` does not say whether it is async


def _unsupported(dependant: Dependant) -> bool:
    required = any(field.field_info.is_required() for field in dependant.query_params)
    converted = any(
        field.field_info.annotation not in (str, str | None)
        for field in (*dependant.path_params, *dependant.query_params)
    )
    others = (
        dependant.header_params,
        dependant.cookie_params,
        dependant.body_params,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.websocket_param_name,
        dependant.security_scopes_param_name,
    )
    return required or converted or any(others)
