"""`adyton tenants ...`"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from admin.tenants import DEFAULT_PLAN, create_tenant, named_tenant, resume_tenant, set_tenant, suspend_tenant
from cli.context import Context, several
from cli.output import Json, show
from cli.plan_commands import Limits, Rows, limits_of
from db.tables import Plan, Tenant
from db.tenants import all_tenants, plan_of

app = typer.Typer(help="Companies, each with keys, limits and records of its own.", no_args_is_help=True)


@app.command()
def create(
    name: str,
    plan: Annotated[str, typer.Option(help="Whose limits it shares.")] = DEFAULT_PLAN,
    limit: Limits = None,
    rows: Rows = None,
    as_json: Json = False,
) -> None:
    """Makes a tenant."""
    context = Context()
    create_tenant(
        context.database,
        context.keyring,
        actor=context.actor,
        name=name,
        plan=plan,
        requests=several(limit),
        rows=several(rows),
    )
    show(_described(context, name), as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the tenants."""
    with Context().database.reading() as session:
        tenants = [_tenant(session, tenant, plan) for tenant, plan in all_tenants(session)]
    show(tenants, as_json=as_json)


@app.command("show")
def show_(name: str, as_json: Json = False) -> None:
    """Shows a tenant."""
    show(_described(Context(), name), as_json=as_json)


@app.command("set")
def set_(
    name: str,
    plan: Annotated[str | None, typer.Option(help="Whose limits it shares.")] = None,
    limit: Limits = None,
    rows: Rows = None,
    as_json: Json = False,
) -> None:
    """Changes a tenant's plan or its own limits; what is given replaces its kind, and `none` clears it."""
    context = Context()
    set_tenant(context.database, actor=context.actor, name=name, plan=plan, requests=several(limit), rows=several(rows))
    show(_described(context, name), as_json=as_json)


@app.command()
def suspend(name: str, as_json: Json = False) -> None:
    """Shuts a tenant's keys out."""
    context = Context()
    suspend_tenant(context.database, actor=context.actor, name=name)
    show(_described(context, name), as_json=as_json)


@app.command()
def resume(name: str, as_json: Json = False) -> None:
    """Lets a suspended tenant's keys in again."""
    context = Context()
    resume_tenant(context.database, actor=context.actor, name=name)
    show(_described(context, name), as_json=as_json)


def _described(context: Context, name: str) -> dict[str, Any]:
    with context.database.reading() as session:
        tenant = named_tenant(session, name)
        return _tenant(session, tenant, plan_of(session, tenant))


def _tenant(session: Session, tenant: Tenant, plan: Plan) -> dict[str, Any]:
    limits = limits_of(session, "tenant", tenant.id)
    return {
        "name": tenant.name,
        "id": tenant.id,
        "status": tenant.status,
        "plan": plan.name,
        **limits,
        "created_at": tenant.created_at,
    }
