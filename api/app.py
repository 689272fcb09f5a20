"""The HTTP application: routes and documents on top of the assembled parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api import documents, pages
from api.http.cors import Origins, Preflights
from api.http.direct_route import DirectRoutes
from api.http.methods import Allowing, without_body
from api.http.middleware import Exchange
from api.routes import (
    audit,
    callers,
    events,
    grants,
    health,
    keys,
    models,
    predictions,
    tenants,
    tokens,
    users,
    versions,
)
from program.assembly import assemble, running
from program.parts import Parts
from program.settings import Settings
from program.worker import Worker

DESCRIPTION = "Predictions from models that you were given access to. Every answer is limited, and recorded first."


class Application(FastAPI):
    """FastAPI's routes and documents under one middleware of ours, which answers every error.

    FastAPI's own stack would catch exceptions three times and watch them for telemetry, which costs 40 µs a request.
    """

    def __init__(self, parts: Parts, **options: Any) -> None:
        super().__init__(**options)
        self.state.parts = parts
        self.state.documents = {}
        #: The connections of the server that runs this application; None if that server is not ours.
        self.state.connections = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Does what two layers of FastAPI and Starlette would do, without their cost."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        if scope.get("method") == "HEAD":
            scope, send = without_body(scope, send)
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        parts: Parts = self.state.parts
        origins = parts.settings.cors_origins
        others = Allowing(AsyncExitStackMiddleware(self.router), self.routes)
        app: ASGIApp = DirectRoutes(others, self.routes)
        if not origins:
            return Exchange(app, parts)
        return Origins(Exchange(Preflights(app, origins), parts), origins)


def create_app(settings: Settings, worker: Worker | None = None) -> FastAPI:
    """The HTTP application. Raises `SchemaOutOfDate`, `WrongSecret`, `InvalidSettings` or `DatabaseUnavailable`."""
    parts = assemble(settings, worker)
    app = Application(
        parts,
        title="Adyton",
        version=_version(),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        # FastAPI would look for exporters in the environment, and send them exceptions with their messages.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    # `include_router` adds a layer that every request must pass; the routes are the same without it.
    for room in (predictions, models, callers, tokens, audit, keys, tenants, users, grants, versions, events, health):
        app.router.routes.extend(room.router.routes)
    for router in (documents.router, pages.router):
        app.router.routes.extend(router.routes)
    app.mount("/static", pages.STATIC)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with running(app.state.parts):
        yield


def _version() -> str:
    try:
        return version("adyton")
    except PackageNotFoundError:
        return "0+unknown"
