"""A route that solves its dependencies without FastAPI's per-request machinery, for the path of a prediction.

FastAPI inspects the same declarations again for every request, which costs more than the prediction. At start-up it
makes a tree of them, the one that OpenAPI shows; here that tree becomes one coroutine. Declarations that this file
cannot fill are refused at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.whole_answers import CYCLE, write_whole
from api.limit_fields import limit_fields
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
        self.body: bytes = body
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's signature
        cycle = scope.pop(CYCLE, None)
        if cycle is not None:
            call = scope["adyton.call"]
            await write_whole(cycle, call.request_id, limit_fields(call.limits()), self.body)
            return
        headers = [(b"content-length", b"%d" % len(self.body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class _Needs(NamedTuple):
    """The values that fill a call's parameters, by their names.

    A dependency with a method `direct` answers at once (`done`); any other is a coroutine function (`awaited`).
    """

    request: Sequence[str]
    done: Sequence[tuple[str, Callable[[Request], Any]]]
    awaited: Sequence[tuple[str, Solver]]
    fill: Callable[[Request, dict[str, Any]], None] | None


def solver(dependant: Dependant) -> Solver:
    """A coroutine function that calls what `dependant` describes, with its dependencies solved first.

    Nothing is looked up again at a request. The method `direct` of a dependency does the same as its call, without a
    coroutine; a block (an asynchronous generator) needs one, which returns an asynchronous context manager.
    """
    call = dependant.call
    blocks = [each for each in dependant.dependencies if _is_block(each.call)]
    if call is None or len(blocks) > 1 or not _is_async(call) or _unsupported(dependant):
        raise TypeError(f"a direct route cannot fill the parameters of {call}")
    return _within(call, _needs(dependant), blocks[0]) if blocks else _plain(call, _needs(dependant))


def _plain(call: Callable[..., Awaitable[Any]], needs: _Needs) -> Solver:
    names, done, awaited, fill = needs

    async def solve(request: Request) -> Any:
        values: dict[str, Any] = dict.fromkeys(names, request)
        for name, direct in done:
            values[name] = direct(request)
        for name, dependency in awaited:
            values[name] = await dependency(request)
        if fill is not None:
            fill(request, values)
        return await call(**values)

    return solve


def _within(call: Callable[..., Awaitable[Any]], needs: _Needs, block: Dependant) -> Solver:
    begin, name = getattr(block.call, "direct", None), block.name or ""
    before, fill = _needs(block), needs.fill
    if begin is None or before.fill is not None or needs.done or needs.awaited or _unsupported(block):
        raise TypeError(f"a direct route cannot fill the parameters of {block.call}")
    _, _, awaited, _ = before

    async def solve_within(request: Request) -> Any:
        needed: dict[str, Any] = dict.fromkeys(before.request, request)
        for each, dependency in awaited:
            needed[each] = await dependency(request)
        async with begin(**needed) as value:
            values: dict[str, Any] = dict.fromkeys(needs.request, request)
            values[name] = value
            if fill is not None:
                fill(request, values)
            return await call(**values)

    return solve_within


def _needs(dependant: Dependant) -> _Needs:
    done: list[tuple[str, Callable[[Request], Any]]] = []
    awaited: list[tuple[str, Solver]] = []
    for each in dependant.dependencies:
        direct = getattr(each.call, "direct", None)
        if _is_block(each.call):
            continue
        if direct is not None and not each.dependencies and _filler(each) is None:
            done.append((each.name or "", direct))
        else:
            awaited.append((each.name or "", solver(each)))
    return _Needs(_request_names(dependant), done, awaited, _filler(dependant))


def _request_names(dependant: Dependant) -> list[str]:
    return [each for each in (dependant.request_param_name, dependant.http_connection_param_name) if each]


def _filler(dependant: Dependant) -> Callable[[Request, dict[str, Any]], None] | None:
    """Fills in what stands in the path and in the query; None if nothing is wanted of them."""
    paths = [(field.name, field.alias) for field in dependant.path_params]
    queries = [(field.name, field.alias) for field in dependant.query_params]
    absent = {name: None for name, _ in queries}
    if not paths and not queries:
        return None

    def fill(request: Request, values: dict[str, Any]) -> None:
        scope = request.scope
        for name, alias in paths:
            values[name] = scope["path_params"][alias]
        values |= absent
        if absent and (query_string := scope["query_string"]):
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


def _is_block(call: Any) -> bool:
    return inspect.isasyncgenfunction(call) or inspect.isasyncgenfunction(getattr(call, "__call__", None))  # noqa: B004  as below


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
