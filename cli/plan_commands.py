"""`adyton plans ...`"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from admin.plans import set_plan
from admin.tenants import named_plan
from cli.context import Context, several
from cli.output import Json, show
from db.plans import all_plans
from db.policies import Level, policies_of
from db.tables import Plan

app = typer.Typer(help="Named sets of limits that tenants share.", no_args_is_help=True)

Limits = Annotated[list[str] | None, typer.Option("--limit", help='Requests: "100/minute", "5/30 seconds".')]
Rows = Annotated[list[str] | None, typer.Option("--rows", help='Rows: "10000/minute".')]


@app.command("set")
def set_(
    name: str,
    limit: Limits = None,
    rows: Rows = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at once, for each tenant.")] = None,
    as_json: Json = False,
) -> None:
    """Makes a plan or changes it; limits that are given replace their kind, and `none` clears it."""
    context = Context()
    set_plan(
        context.database, actor=context.actor, name=name, requests=several(limit), rows=several(rows),
        concurrency=concurrency,
    )  # fmt: skip
    show(_described(context, name), as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the plans."""
    with Context().database.reading() as session:
        plans = [_plan(session, plan) for plan in all_plans(session)]
    show(plans, as_json=as_json)


@app.command("show")
def show_(name: str, as_json: Json = False) -> None:
    """Shows a plan."""
    show(_described(Context(), name), as_json=as_json)


def limits_of(session: Session, level: Level, owner_id: str) -> dict[str, Any]:
    """An owner's own limits, in the words in which they are given."""
    policies = policies_of(session, level, owner_id)
    words = {
        unit: [f"{p.amount}/{p.window_seconds} seconds" for p in policies if p.unit == unit]
        for unit in ("requests", "rows")
    }
    return {"limits": words["requests"], "rows": words["rows"]}


def _described(context: Context, name: str) -> dict[str, Any]:
    with context.database.reading() as session:
        return _plan(session, named_plan(session, name))


def _plan(session: Session, plan: Plan) -> dict[str, Any]:
    limits = limits_of(session, "plan", plan.id)
    return {"name": plan.name, **limits, "concurrency": plan.concurrency, "created_at": plan.created_at}
