"""`adyton keys ...`"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from admin.facts import NotFound
from admin.keys import IssuedKey, KeyTerms, issue_key, revoke_key, rotate_key, set_key
from admin.tenants import named_tenant
from cli.context import Context, duration, instant, several
from cli.output import Json, show
from cli.plan_commands import Limits, Rows, limits_of
from db.keys import find_key, keys_of
from db.tables import Key, Tenant
from db.tenants import all_tenants

app = typer.Typer(help="API keys.", no_args_is_help=True)

Label = Annotated[str | None, typer.Option(help="What the key is for.")]
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="predict (the default), models:read, audit:read:own.")
]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only these of the tenant's models.")]
Cidrs = Annotated[list[str] | None, typer.Option("--cidr", help="Only from these address ranges.")]
Expires = Annotated[str | None, typer.Option(help="When it ends: 90d, or 2026-12-31T23:59:59Z.")]
NotBefore = Annotated[str | None, typer.Option(help="When it begins: 2h, or 2026-12-01T00:00:00Z.")]


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose key it is.")],
    label: Label = None,
    scope: Scopes = None,
    limit: Limits = None,
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
    issued = issue_key(context.database, context.keyring, actor=context.actor, tenant=tenant, terms=terms)
    _show_issued(context, issued, as_json=as_json)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None, as_json: Json = False
) -> None:
    """Lists keys, without their secrets."""
    with Context().database.reading() as session:
        tenants = [named_tenant(session, tenant)] if tenant else [each for each, _ in all_tenants(session)]
        keys = [_key(session, key, each) for each in tenants for key in keys_of(session, tenant_id=each.id)]
    show(keys, as_json=as_json)


@app.command("show")
def show_(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Shows a key, without its secret."""
    show(_described(Context(), key_id), as_json=as_json)


@app.command("set")
def set_(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    label: Label = None,
    scope: Scopes = None,
    limit: Limits = None,
    rows: Rows = None,
    model: Models = None,
    expires: Expires = None,
    not_before: NotBefore = None,
    cidr: Cidrs = None,
    as_json: Json = False,
) -> None:
    """Changes what a key may do; what is not given stays as it is, and `none` clears it."""
    context = Context()
    terms = _terms(label, scope, limit, rows, model, expires, not_before, cidr)
    set_key(context.database, actor=context.actor, key_id=key_id, terms=terms)
    show(_described(context, key_id), as_json=as_json)


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    overlap: Annotated[str, typer.Option(help="How long the secret before it goes on working.")] = "24h",
    as_json: Json = False,
) -> None:
    """Gives a key a new secret and shows it, this once."""
    context = Context()
    issued = rotate_key(
        context.database, context.keyring, actor=context.actor, key_id=key_id, overlap=duration(overlap)
    )
    _show_issued(context, issued, as_json=as_json)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Ends a key; within a second nothing accepts it any more."""
    context = Context()
    revoke_key(context.database, actor=context.actor, key_id=key_id)
    show(_described(context, key_id), as_json=as_json)


def _terms(
    label: str | None, scope: list[str] | None, limit: list[str] | None, rows: list[str] | None,
    model: list[str] | None, expires: str | None, not_before: str | None, cidr: list[str] | None,
) -> KeyTerms:  # fmt: skip
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


def _show_issued(context: Context, issued: IssuedKey, *, as_json: bool) -> None:
    described = _described(context, issued.key.id)
    show({"id": described.pop("id"), "key": issued.raw_key, **described}, as_json=as_json)


def _described(context: Context, key_id: str) -> dict[str, Any]:
    with context.database.reading() as session:
        found = find_key(session, key_id)
        if found is None:
            raise NotFound(f"there is no key {key_id}")
        return _key(session, *found)


def _key(session: Session, key: Key, tenant: Tenant) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": tenant.name,
        "label": key.label,
        "scopes": key.scopes,
        **limits_of(session, "key", key.id),
        "models": key.models,
        "cidrs": key.cidrs,
        "not_before": key.not_before,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    }
