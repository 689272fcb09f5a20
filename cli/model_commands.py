"""`adyton models ...`"""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from admin.facts import InvalidValue
from admin.models.access import describe_model, grant_model, ungrant_model
from admin.shown import shown_model
from cli.context import Context
from cli.output import Json, show
from db.catalogue import read_catalogue
from db.reach import EVERY_TENANT
from inference.listings import PRODUCTION
from values.strict_json import BrokenJson, parse_json

app = typer.Typer(help="Models, their versions, which of them answers, and who may use them.", no_args_is_help=True)

TenantName = Annotated[str, typer.Option("--tenant", help="The tenant that gets or loses the right.")]
AliasName = Annotated[str, typer.Option("--alias", help="The alias, a name that moves from version to version.")]


class EngineChoice(StrEnum):
    """The engine that serves: `auto` compiles a model if tests show that the compiled one answers the same."""

    AUTO = "auto"
    SKLEARN = "sklearn"


@app.command()
def register(
    name: str,
    file: Annotated[
        Path, typer.Argument(help="joblib, skops, ONNX, XGBoost, LightGBM or CatBoost file; folder of MLflow.")
    ],
    version: Annotated[str | None, typer.Option(help="The version's name; the next number if not given.")] = None,
    sample: Annotated[Path | None, typer.Option(help="Training-like rows as CSV or Parquet.")] = None,
    target: Annotated[str | None, typer.Option(help="The sample's column that is no feature.")] = None,
    schema: Annotated[Path | None, typer.Option(help="JSON Schema with bounds, pii and descriptions.")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="auto compiles; sklearn serves as trained.")] = EngineChoice.AUTO,
    alias: Annotated[
        str | None, typer.Option(help="The alias that names it; a first version becomes production.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="The purpose of the model.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Lets all tenants use the model.")] = False,
    as_json: Json = False,
) -> None:
    """Registers a version from a file: finds its schema, compiles it, and tests that it answers the same.

    A folder that MLflow wrote gives its model file, its signature as the schema, and its example as the sample.
    """
    from admin.models.mlflow_folders import folder_at  # noqa: PLC0415  other commands need not wait for numpy
    from admin.models.registration import Submission, register_version  # noqa: PLC0415  the same

    context = Context()
    folder = folder_at(file)
    given = Submission(
        file_name=file.name,
        content=b"" if folder else _read(file),
        sample_name=sample.name if sample else None,
        sample=_read(sample) if sample else None,
        target=target,
        schema=_read_schema(schema),
        version=version,
        alias=alias,
        is_compiled=engine is EngineChoice.AUTO,
        is_public=public,
        description=description,
    )
    with folder.explained(given) if folder else nullcontext():
        registered = register_version(
            context.database,
            context.store,
            context.keyring,
            actor=context.actor,
            name=name,
            submission=folder.submission(given) if folder else given,
            trusted=tuple(context.settings.skops_trusted),
            limit_seconds=context.settings.registration_seconds,
        )
    show(registered.shown | {"aliases": registered.aliases}, as_json=as_json)


@app.command()
def promote(
    name: str,
    version: str,
    alias: AliasName = PRODUCTION,
    share: Annotated[float, typer.Option(help="Percent of the keys that it answers; under 100 a canary.")] = 100.0,
    as_json: Json = False,
) -> None:
    """Lets an alias name a version, or tries the version on a share of the keys."""
    from admin.models.listings import trial_by  # noqa: PLC0415  other commands need not wait for numpy
    from admin.models.promotion import promote_version  # noqa: PLC0415  the same

    context = Context()
    shown = promote_version(
        context.database,
        actor=context.actor,
        name=name,
        version=version,
        trial=trial_by(context.loader),
        alias=alias,
        share=share,
    )
    show(shown, as_json=as_json)


@app.command()
def rollback(name: str, alias: AliasName = PRODUCTION, as_json: Json = False) -> None:
    """Takes the last promotion back: ends a canary, or lets the alias name the version before."""
    from admin.models.promotion import rollback_alias  # noqa: PLC0415  other commands need not wait for numpy

    context = Context()
    show(rollback_alias(context.database, actor=context.actor, name=name, alias=alias), as_json=as_json)


@app.command()
def retire(name: str, version: str, as_json: Json = False) -> None:
    """Takes a version that no alias names out of use for good; its records stay."""
    from admin.models.promotion import retire_version  # noqa: PLC0415  other commands need not wait for numpy

    context = Context()
    show(retire_version(context.database, actor=context.actor, name=name, version=version), as_json=as_json)


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
    show(describe_model(Context().database, name, version), as_json=as_json)


@app.command()
def grant(name: str, tenant: TenantName, as_json: Json = False) -> None:
    """Lets a tenant use a model that is not public."""
    context = Context()
    show(grant_model(context.database, actor=context.actor, name=name, tenant=tenant), as_json=as_json)


@app.command()
def ungrant(name: str, tenant: TenantName, as_json: Json = False) -> None:
    """Takes a tenant's right to use a model back."""
    context = Context()
    show(ungrant_model(context.database, actor=context.actor, name=name, tenant=tenant), as_json=as_json)


@app.command()
def bundled(as_json: Json = False) -> None:
    """Registers the bundled models iris, wine and diabetes, public, where they are missing, and repairs lost ones."""
    from admin.models.bundled import register_bundled  # noqa: PLC0415  other commands need not wait for numpy

    context = Context()
    settled = register_bundled(context.database, context.store, context.keyring, actor=context.actor)
    show({"registered": settled.registered, "repaired": settled.repaired}, as_json=as_json)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}") from None


def _read_schema(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return parse_json(_read(path))
    except BrokenJson as error:
        raise InvalidValue(f"{path}: {error.reason}") from None
