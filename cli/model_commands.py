"""`adyton models ...`"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from admin.facts import NotFound
from admin.shown import shown_model
from cli.context import Context
from cli.output import Json, show
from db.catalogue import CatalogueEntry, read_catalogue
from db.reach import EVERY_TENANT

app = typer.Typer(help="Models, their versions, and who may use them.", no_args_is_help=True)

TenantName = Annotated[str, typer.Option("--tenant", help="Whose right it is.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Lists the models."""
    with Context().database.reading(EVERY_TENANT) as session:
        entries = read_catalogue(session)
    show([shown_model(entry) for entry in entries.values()], as_json=as_json)


@app.command("show")
def show_(
    name: str,
    version: Annotated[str | None, typer.Option(help="A version or an alias; all versions if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Shows a model with the schema of its rows and the results of its compilation tests."""
    with Context().database.reading(EVERY_TENANT) as session:
        entry = read_catalogue(session).get(name)
    if entry is None:
        raise NotFound(f"there is no model {name}")
    wanted = entry.aliases.get(version or "", version)
    if wanted is not None and wanted not in entry.versions:
        raise NotFound(f"the model {name} has no version {version}")
    show(shown_model(entry) | {"details": _versions(entry, wanted)}, as_json=as_json)


@app.command()
def grant(name: str, tenant: TenantName, as_json: Json = False) -> None:
    """Lets a tenant use a model that is not public."""
    from admin.models import grant_model  # noqa: PLC0415  numpy and joblib are what other commands need not wait for

    context = Context()
    grant_model(context.database, actor=context.actor, name=name, tenant=tenant)
    show({"model": name, "granted_to": tenant}, as_json=as_json)


@app.command()
def ungrant(name: str, tenant: TenantName, as_json: Json = False) -> None:
    """Takes that right back."""
    from admin.models import ungrant_model  # noqa: PLC0415  as above

    context = Context()
    ungrant_model(context.database, actor=context.actor, name=name, tenant=tenant)
    show({"model": name, "no_longer_granted_to": tenant}, as_json=as_json)


@app.command()
def bundled(as_json: Json = False) -> None:
    """Registers the bundled models iris, wine and diabetes, public, where they are missing."""
    from admin.models import register_bundled  # noqa: PLC0415  as above

    context = Context()
    made = register_bundled(context.database, context.store, actor=context.actor)
    show({"registered": made}, as_json=as_json)


def _versions(entry: CatalogueEntry, wanted: str | None) -> list[dict[str, Any]]:
    return [
        {
            "version": name,
            "artifact_sha256": version.artifact_sha256,
            "compilation": version.compilation,
            "schema": version.row_schema,
            "created_at": version.created_at,
        }
        for name, version in entry.versions.items()
        if wanted in (None, name)
    ]
