"""`adyton plans ...`"""

from __future__ import annotations

from typing import Annotated

import typer

from admin.limits import Limits
from admin.plans import describe_plan, set_plan
from admin.shown import shown_plans
from cli.context import Context, several
from cli.output import Json, show
from db.paging import WHOLE
from db.plans import page_of_plans
from db.reach import NO_TENANT

app = typer.Typer(help="Named sets of limits that tenants share.", no_args_is_help=True)

Requests = Annotated[
    list[str] | None,
    typer.Option("--limit", help='Requests: "100/minute", "9000/calendar-month"; for one model: "iris: 5/30 seconds".'),
]
Rows = Annotated[
    list[str] | None, typer.Option("--rows", help='Rows: "10000/minute", "iris: 500/calendar-day", as for requests.')
]


@app.command("set")
def set_(
    name: str,
    limit: Requests = None,
    rows: Rows = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests under way at once, for each tenant.")] = None,
    as_json: Json = False,
) -> None:
    """Makes a plan or changes it; given limits replace all limits of their kind, and `none` clears them."""
    context = Context()
    limits = Limits(several(limit), several(rows))
    shown = set_plan(context.database, actor=context.actor, name=name, limits=limits, concurrency=concurrency)
    show(shown, as_json=as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the plans."""
    with Context().database.reading(NO_TENANT) as session:
        plans = shown_plans(session, page_of_plans(session, WHOLE).rows)
    show(plans, as_json=as_json)


@app.command("show")
def show_(name: str, as_json: Json = False) -> None:
    """Shows a plan."""
    show(describe_plan(Context().database, name), as_json=as_json)
