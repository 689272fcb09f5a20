"""`adyton keys ...`"""

from __future__ import annotations

from typing import Annotated

import typer

from admin.key_terms import KeyTerms
from admin.keys import describe_key, issue_key, revoke_key, rotate_key, set_key
from admin.shown import shown_keys
from admin.tenants import named_tenant
from admin.words import ago, duration, instant
from cli.context import Context, several
from cli.output import Json, show
from cli.plan_commands import Requests, Rows
from db.keys import page_of_keys
from db.paging import WHOLE
from db.reach import EVERY_TENANT, Reach

app = typer.Typer(help="API keys.", no_args_is_help=True)

Label = Annotated[str | None, typer.Option(help="The purpose of the key.")]
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="predict (the default), models:read, audit:read:own.")
]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only these of the tenant's models.")]
Cidrs = Annotated[list[str] | None, typer.Option("--cidr", help="Only from these address ranges.")]
Expires = Annotated[str | None, typer.Option(help="When it ends: 90d, or 2026-12-31T23:59:59Z.")]
NotBefore = Annotated[str | None, typer.Option(help="When it begins: 2h, or 2026-12-01T00:00:00Z.")]


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="The tenant that gets the key.")],
    label: Label = None,
    scope: Scopes = None,
    limit: Requests = None,
    rows: Rows = None,
    model: Models = None,
    expires: Expires = None,
    not_before: NotBefore = None,
    cidr: Cidrs = None,
    as_json: Json = False,
) -> None:
    """Makes a key and shows it, this once."""
    context = Context()
    terms = _terms(label, scope, limit, rows, model, expires, not_before, cidr)
    issued = issue_key(
        context.database, context.keyring, actor=context.actor, tenant=tenant, terms=terms, tenant_id=EVERY_TENANT
    )
    show(issued.shown, as_json=as_json)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    unused_for: Annotated[str | None, typer.Option(help="Only keys that have not been used for so long: 90d.")] = None,
    as_json: Json = False,
) -> None:
    """Lists keys, without their secrets."""
    unused_since = None if unused_for is None else ago(unused_for)
    with Context().database.reading(EVERY_TENANT) as session:
        holder: Reach = named_tenant(session, tenant, tenant_id=EVERY_TENANT).id if tenant else EVERY_TENANT
        found = page_of_keys(session, WHOLE, tenant_id=holder, unused_since=unused_since)
        keys = shown_keys(session, found.rows, tenant_id=holder)
    show(keys, as_json=as_json)


@app.command("show")
def show_(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Shows a key, without its secret."""
    show(describe_key(Context().database, key_id, tenant_id=EVERY_TENANT), as_json=as_json)


@app.command("set")
def set_(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    label: Label = None,
    scope: Scopes = None,
    limit: Requests = None,
    rows: Rows = None,
    model: Models = None,
    expires: Expires = None,
    not_before: NotBefore = None,
    cidr: Cidrs = None,
    as_json: Json = False,
) -> None:
    """Changes a key's terms; a term that is not given stays as it is, and `none` clears it."""
    context = Context()
    terms = _terms(label, scope, limit, rows, model, expires, not_before, cidr)
    shown = set_key(context.database, actor=context.actor, key_id=key_id, terms=terms, tenant_id=EVERY_TENANT)
    show(shown, as_json=as_json)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    overlap: Annotated[str, typer.Option(help="How long the older secrets go on working.")] = "24h",
    as_json: Json = False,
) -> None:
    """Gives a key a new secret and shows it, this once."""
    context = Context()
    issued = rotate_key(
        context.database,
        context.keyring,
        actor=context.actor,
        key_id=key_id,
        overlap=duration(overlap),
        tenant_id=EVERY_TENANT,
    )
    show(issued.shown, as_json=as_json)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Ends a key; within a second nothing accepts it any more."""
    context = Context()
    shown = revoke_key(context.database, actor=context.actor, key_id=key_id, tenant_id=EVERY_TENANT)
    show(shown, as_json=as_json)


def _terms(
    label: str | None,
    scope: list[str] | None,
    limit: list[str] | None,
    rows: list[str] | None,
    model: list[str] | None,
    expires: str | None,
    not_before: str | None,
    cidr: list[str] | None,
) -> KeyTerms:
    return KeyTerms(
        label=label,
        scopes=scope or None,
        requests=several(limit),
        rows=several(rows),
        models=several(model),
        cidrs=several(cidr),
        not_before=None if not_before is None else instant(not_before),
        expires_at=None if expires is None else instant(expires),
    )
