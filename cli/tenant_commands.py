"""`adyton tenants ...`"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from admin.limits import Limits
from admin.shown import shown_tenants
from admin.tenants import (
    create_tenant,
    describe_tenant,
    erase_tenant,
    resume_tenant,
    set_tenant,
    suspend_tenant,
)
from cli.context import Context, several
from cli.output import Json, show
from cli.plan_commands import Requests, Rows
from cli.usage import show_usage
from db.paging import WHOLE
from db.plans import DEFAULT_PLAN
from db.reach import EVERY_TENANT
from db.tenants import DEFAULT_TIME_ZONE, page_of_tenants

TimeZone = Annotated[
    str | None, typer.Option("--timezone", help="Whose days and months its calendar limits follow: Europe/Berlin.")
]

app = typer.Typer(help="Companies, each with keys, limits and records of its own.", no_args_is_help=True)


@app.command()
def create(
    name: str,
    plan: Annotated[str, typer.Option(help="The plan that limits it.")] = DEFAULT_PLAN,
    limit: Requests = None,
    rows: Rows = None,
    time_zone: TimeZone = None,
    as_json: Json = False,
) -> None:
    """Makes a tenant."""
    context = Context()
    shown = create_tenant(
        context.database,
        context.keyring,
        actor=context.actor,
        name=name,
        plan=plan,
        limits=Limits(several(limit), several(rows)),
        time_zone=time_zone or DEFAULT_TIME_ZONE,
    )
    show(shown, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the tenants."""
    with Context().database.reading(EVERY_TENANT) as session:
        found = page_of_tenants(session, WHOLE, tenant_id=EVERY_TENANT)
        tenants = shown_tenants(session, found.rows)
    show(tenants, as_json=as_json)


@app.command("show")
def show_(name: str, as_json: Json = False) -> None:
    """Shows a tenant."""
    show(describe_tenant(Context().database, name), as_json=as_json)


@app.command("set")
def set_(
    name: str,
    plan: Annotated[str | None, typer.Option(help="The plan that limits it.")] = None,
    limit: Requests = None,
    rows: Rows = None,
    time_zone: TimeZone = None,
    as_json: Json = False,
) -> None:
    """Changes a tenant's plan, limits or time zone; given limits replace all of their kind, and `none` clears them."""
    context = Context()
    limits = Limits(several(limit), several(rows))
    shown = set_tenant(context.database, actor=context.actor, name=name, plan=plan, limits=limits, time_zone=time_zone)
    show(shown, as_json=as_json)


@app.command()
def usage(name: str, as_json: Json = False) -> None:
    """Shows the limits of a tenant, its plan and its keys with their use, by Redis or, without it, by the log."""
    show_usage(name, as_json=as_json)


@app.command()
def suspend(name: str, as_json: Json = False) -> None:
    """Shuts a tenant's keys and people out."""
    context = Context()
    show(suspend_tenant(context.database, actor=context.actor, name=name), as_json=as_json)


@app.command()
def resume(name: str, as_json: Json = False) -> None:
    """Lets a suspended tenant's keys and people in again."""
    context = Context()
    show(resume_tenant(context.database, actor=context.actor, name=name), as_json=as_json)


@app.command()
def erase(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Ends a tenant for good: keys, people, fingerprint key, and values in its records. Their seals still verify."""
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Erase {name}? Nothing brings it back", abort=True)
    context = Context()
    show(erase_tenant(context.database, actor=context.actor, name=name), as_json=as_json)
