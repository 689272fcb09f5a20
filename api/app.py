"""The composition root: makes each part once and joins them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

import migrations
from admin.listings import read_listings
from api import documents, pages
from api.direct_route import DirectRoutes
from api.housekeeping import Housekeeping
from api.middleware import Exchange
from api.parts import Parts
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
from api.settings import Settings
from audit.writer import LogWriter
from auth.callers import Callers
from auth.directory import Directory
from auth.keyring import Keyring
from auth.passwords import PasswordThreads
from auth.sign_in import SignIns
from auth.signing_keys import SigningKeys
from auth.tokens import Tokens
from db.database import Database
from inference.artifacts import ArtifactStore
from inference.loading import Loader
from inference.pool import Pool
from inference.registry import Registry
from quotas.failures import FailureThrottle
from quotas.limiter import Quotas
from serving.following import Follower
from serving.predictor import Predictor

#: For the log's last commits, once every request is answered: a database that is frozen must not keep us.
CLOSE_SECONDS = 10.0
SEARCHES_AT_ONCE = 4
DESCRIPTION = "Predictions from models that you were given access to. Every answer is limited, and recorded first."


class Application(FastAPI):
    """FastAPI's routes and documents under one middleware of ours, which answers every error.

    Its own stack catches exceptions in three places and watches them for telemetry, at 40 µs a request.
    """

    def __init__(self, parts: Parts, **options: Any) -> None:
        super().__init__(**options)
        self.state.parts = parts
        self.state.directory = parts.directory
        self.state.documents = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same as two layers below would do, without them."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        parts: Parts = self.state.parts
        app: ASGIApp = Exchange(DirectRoutes(AsyncExitStackMiddleware(self.router), self.routes), parts)
        if not parts.settings.cors_origins:
            return app
        return CORSMiddleware(
            app, allow_origins=parts.settings.cors_origins, allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "X-API-Key", "X-Request-ID"],
            expose_headers=["ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"],
        )  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """The program over HTTP. Raises `SchemaOutOfDate`, `WrongSecret`, `InvalidSettings` or `DatabaseUnavailable`."""
    parts = assemble(settings)
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
        # It would look for exporters in the environment, and send them exceptions with their words.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    # Included routers are matched through another layer for every request; their routes are the same without it.
    for room in (predictions, models, callers, tokens, audit, keys, tenants, users, grants, versions, events, health):
        app.router.routes.extend(room.router.routes)
    for router in (documents.router, pages.router):
        app.router.routes.extend(router.routes)
    app.mount("/static", pages.STATIC)
    return app


def assemble(settings: Settings) -> Parts:
    """Each part, made once; nothing runs yet."""
    database = Database(settings.database_url)
    migrations.check(database)
    # What every caller depends on has connections of its own: auditors' searches cannot use them up.
    vital = Database(settings.database_url)
    keyring = Keyring(vital, settings.secret_bytes(), settings.previous_secret_bytes())
    signing_keys = SigningKeys(vital, keyring)
    issuer = Tokens(signing_keys)
    directory = Directory(Callers(vital, keyring, issuer, has_people=settings.password_login), keyring)
    passwords = PasswordThreads()
    store = ArtifactStore(settings.models_dir)
    loader = Loader(
        store, keyring.version_mac, Pool(), max_rows=settings.max_batch_rows, gathers=settings.batching,
        patience_seconds=settings.request_timeout_seconds, trusted=settings.skops_trusted,
    )  # fmt: skip
    registry = Registry(loader, max_bytes=settings.max_loaded_bytes)
    read_anew = {"signing-keys": signing_keys.reload, "peppers": keyring.reload}
    log = LogWriter(vital)
    return Parts(
        settings=settings,
        database=database,
        vital=vital,
        keyring=keyring,
        directory=directory,
        tokens=issuer,
        passwords=passwords,
        sign_ins=SignIns(database, keyring, passwords),
        store=store,
        loader=loader,
        registry=registry,
        quotas=Quotas(),
        failures=FailureThrottle(),
        log=log,
        follower=Follower(vital, directory, registry, partial(read_listings, vital), read_anew),
        housekeeping=Housekeeping(database, directory),
        predictor=Predictor(registry, log, timeout_seconds=settings.request_timeout_seconds),
        searches=asyncio.Semaphore(SEARCHES_AT_ONCE),
        registrations=asyncio.Semaphore(1),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    loop = asyncio.get_running_loop()
    parts.follower.start(loop)
    parts.log.start(loop)
    parts.housekeeping.start()
    # Everything that lives as long as the process is loaded by now: a full collection over scikit-learn's objects
    # would be a pause of 100 ms.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        parts.follower.close()
        await parts.housekeeping.close()
        # The last groups wake their futures on this loop, which must go on meanwhile.
        await asyncio.to_thread(parts.log.close, CLOSE_SECONDS)
        parts.registry.close()
        parts.directory.close()
        await parts.sign_ins.close()
        parts.passwords.close()
        parts.database.dispose()
        parts.vital.dispose()


def _version() -> str:
    try:
        return version("adyton")
    except PackageNotFoundError:
        return "0+unknown"
