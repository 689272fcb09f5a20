"""`adyton models ...`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from admin.facts import InvalidValue, NotFound
from admin.shown import shown_alias, shown_model, shown_version
from cli.context import Context
from cli.output import Json, show
from db.catalogue import CatalogueEntry, read_catalogue
from db.reach import EVERY_TENANT
from inference.listings import PRODUCTION

app = typer.Typer(help="Models, their versions, which of them answers, and who may use them.", no_args_is_help=True)

TenantName = Annotated[str, typer.Option("--tenant", help="Whose right it is.")]
AliasName = Annotated[str, typer.Option("--alias", help="The moving name.")]


class EngineChoice(StrEnum):
    """`auto` compiles what can be shown to answer the same."""

    AUTO = "auto"
    SKLEARN = "sklearn"


@app.command()
def register(
    name: str,
    file: Annotated[Path, typer.Argument(help="joblib, skops, ONNX, XGBoost (.json, .ubj) or LightGBM (.txt).")],
    version: Annotated[str | None, typer.Option(help="Its name; the next number if not given.")] = None,
    sample: Annotated[Path | None, typer.Option(help="Training-like rows as CSV or Parquet.")] = None,
    target: Annotated[str | None, typer.Option(help="The sample's column that is no feature.")] = None,
    schema: Annotated[Path | None, typer.Option(help="JSON Schema with bounds, pii and descriptions.")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="auto compiles; sklearn serves as trained.")] = EngineChoice.AUTO,
    alias: Annotated[str | None, typer.Option(help="What shall name it; a first version becomes production.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model is for.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Lets all tenants use the model.")] = False,
    as_json: Json = False,
) -> None:
    """Registers a version from a file: finds its schema, compiles it, and tests that it answers the same."""
    from admin.registration import Submission, register_version  # noqa: PLC0415  numpy is what others need not wait for

    context = Context()
    submission = Submission(
        file_name=file.name, content=_read(file), sample_name=sample.name if sample else None,
        sample=_read(sample) if sample else None, target=target, schema=_read_schema(schema), version=version,
        alias=alias, is_compiled=engine is EngineChoice.AUTO, is_public=public, description=description,
    )  # fmt: skip
    row = register_version(
        context.database, context.store, context.keyring, actor=context.actor, name=name, submission=submission,
        trusted=tuple(context.settings.skops_trusted), limit_seconds=context.settings.registration_seconds,
    )  # fmt: skip
    with context.database.reading(EVERY_TENANT) as session:
        aliases = shown_model(_entry(session, name))["aliases"]
    named = [each for each, at in aliases.items() if at == row.name]
    show({"model": name, **shown_version(row), "aliases": named}, as_json=as_json)


@app.command()
def promote(
    name: str,
    version: str,
    alias: AliasName = PRODUCTION,
    share: Annotated[float, typer.Option(help="Percent of the keys that it answers; under 100 a canary.")] = 100.0,
    as_json: Json = False,
) -> None:
    """Has an alias name a version, or tries the version on a share of the keys."""
    from admin.listings import trial_by  # noqa: PLC0415  as above
    from admin.promotion import promote_version  # noqa: PLC0415

    context = Context()
    promote_version(
        context.database, actor=context.actor, name=name, version=version, trial=trial_by(context.loader), alias=alias,
        share=share,
    )  # fmt: skip
    _show_alias(context, name, alias, as_json=as_json)


@app.command()
def rollback(name: str, alias: AliasName = PRODUCTION, as_json: Json = False) -> None:
    """Takes the last promotion back: ends a canary, or names the version from before."""
    from admin.promotion import rollback_alias  # noqa: PLC0415  as above

    context = Context()
    rollback_alias(context.database, actor=context.actor, name=name, alias=alias)
    _show_alias(context, name, alias, as_json=as_json)


@app.command()
def retire(name: str, version: str, as_json: Json = False) -> None:
    """Takes a version that no alias names out of use for good; its records stay."""
    from admin.promotion import retire_version  # noqa: PLC0415  as above

    context = Context()
    retire_version(context.database, actor=context.actor, name=name, version=version)
    show({"model": name, "retired": version}, as_json=as_json)


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
        entry = _entry(session, name)
        shown = shown_model(entry)
        wanted = shown["aliases"].get(version or "", version)
        if wanted is not None and wanted not in entry.versions:
            raise NotFound(f"the model {name} has no version {version}")
        details = [shown_version(each) for number, each in entry.versions.items() if wanted in (None, number)]
    show(shown | {"details": details}, as_json=as_json)


@app.command()
def grant(name: str, tenant: TenantName, as_json: Json = False) -> None:
    """Lets a tenant use a model that is not public."""
    from admin.models import grant_model  # noqa: PLC0415  as above

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
    """Registers the bundled models iris, wine and diabetes, public, where they are missing, and repairs lost ones."""
    from admin.bundled import register_bundled  # noqa: PLC0415  as above

    context = Context()
    settled = register_bundled(context.database, context.store, context.keyring, actor=context.actor)
    show({"registered": settled.registered, "repaired": settled.repaired}, as_json=as_json)


def _entry(session: Any, name: str) -> CatalogueEntry:
    entry = read_catalogue(session).get(name)
    if entry is None:
        raise NotFound(f"there is no model {name}")
    return entry


def _show_alias(context: Context, name: str, alias: str, *, as_json: bool) -> None:
    with context.database.reading(EVERY_TENANT) as session:
        entry = _entry(session, name)
        show({"model": name, **shown_alias(entry.aliases[alias], entry.version_names())}, as_json=as_json)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}") from None


def _read_schema(path: Path | None) -> Any:
    from values.strict_json import BrokenJson, parse_json  # noqa: PLC0415

    if path is None:
        return None
    try:
        return parse_json(_read(path))
    except BrokenJson as error:
        raise InvalidValue(f"{path}: {error.reason}") from None
