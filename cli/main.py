"""The command line: its commands, and how each ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Annotated, Literal

import typer

from admin.facts import Refused
from cli import (
    database_commands,
    key_commands,
    model_commands,
    pepper_commands,
    plan_commands,
    quickstart,
    signing_key_commands,
    tenant_commands,
    user_commands,
)
from cli.context import Context
from cli.output import Json
from cli.refusals import reason_of
from cli.usage import show_usage
from cli.workers import serve_with_workers
from db.events import living_keys_made_by
from db.reach import EVERY_TENANT
from db.users import living_users_made_by
from program.log_output import configure_logs
from program.settings import Settings, read_settings
from quotas.shared.server import Address, check_server
from quotas.store import StoreUnfit
from values.texts import shown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A secured, multi-tenant prediction API with rate limiting.",
)
app.add_typer(database_commands.app, name="db")
app.add_typer(plan_commands.app, name="plans")
app.add_typer(tenant_commands.app, name="tenants")
app.add_typer(key_commands.app, name="keys")
app.add_typer(user_commands.app, name="users")
app.add_typer(pepper_commands.app, name="peppers")
app.add_typer(signing_key_commands.app, name="signing-keys")
app.add_typer(model_commands.app, name="models")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """The quickstart: makes everything that a first hour needs, under ./var, and serves it."""
    from api.http.server import is_free  # noqa: PLC0415  other commands need not wait a second for FastAPI

    settings, made = quickstart.prepare()
    if not is_free(host, port):
        raise Refused(f"port {port} is taken: choose another with --port, or PORT= for make")
    line = quickstart.curl_line(host, port, made.get(quickstart.KEY))

    def greet() -> None:
        secrets = "".join(f"  {name}={value}\n" for name, value in made.items())
        note = f"\nMade now, shown this once, and kept in {quickstart.DEMO_FILE}:\n\n{secrets}" if made else ""
        sys.stdout.write(
            f"\nAdyton answers on http://{host}:{port}, and explains itself on /docs. Try:\n\n{line}\n{note}\n"
        )
        sys.stdout.flush()

    _run(settings, host, port, greet, log_format="console" if sys.stderr.isatty() else settings.log_format)


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one need limits on Redis.")] = 1,
) -> None:
    """Production: makes nothing, and refuses insecure settings and the accounts that `up` made."""
    settings = read_settings()
    settings.require_own_secret()
    if workers > 1 and settings.redis_url is None:
        raise Refused("several workers would each count limits for themselves: set ADYTON_REDIS_URL, or run one")
    _refuse_demo_accounts(settings)
    _refuse_unfit_redis(settings)
    if workers > 1:
        serve_with_workers(settings, host, port, workers)
    else:
        _run(settings, host, port, lambda: None, log_format=settings.log_format)


@app.command()
def usage(as_json: Json = False) -> None:
    """Shows every tenant's limits and its plan's with their use; `tenants usage NAME` shows its keys' as well."""
    show_usage(None, as_json=as_json)


def _run(
    settings: Settings, host: str, port: int, greet: Callable[[], None], *, log_format: Literal["json", "console"]
) -> None:
    from api.app import create_app  # noqa: PLC0415  other commands need not wait a second for FastAPI
    from api.http.server import serve as run_server  # noqa: PLC0415  the same

    configure_logs(log_format, settings.log_level)
    run_server(create_app(settings), settings, host=host, port=port, on_started=greet)


def _refuse_unfit_redis(settings: Settings) -> None:
    if settings.redis_url is None:
        return
    try:
        asyncio.run(check_server(Address(settings.redis_url.get_secret_value())))
    except StoreUnfit as error:
        raise Refused(f"ADYTON_REDIS_URL: {error}") from None


def _refuse_demo_accounts(settings: Settings) -> None:
    database = Context(settings).database
    with database.reading(EVERY_TENANT) as session:
        keys = living_keys_made_by(session, quickstart.ACTOR.subject, tenant_id=EVERY_TENANT)
        users = living_users_made_by(session, quickstart.ACTOR.subject, tenant_id=EVERY_TENANT)
    # Workers are forked from this process, and must not share a connection with it.
    database.dispose()
    if keys:
        raise Refused(f"the database holds a key that `adyton up` made: `adyton keys revoke {keys[0]}` ends it")
    if users:
        raise Refused(f"the database holds a person whom `adyton up` made: `adyton users disable {users[0]}` ends that")


def run() -> None:
    """Ends with 0 when done, 1 with one line when refused, 2 on wrong usage."""
    # No other account may read the database and the model files.
    os.umask(0o077)
    try:
        app()
    except Exception as error:
        reason = reason_of(error)
        if reason is None:
            raise
        sys.stderr.write(f"adyton: {shown(reason)}\n")
        sys.exit(1)
