"""The catalogue in the database, in the form that the registry of models takes."""

from __future__ import annotations

from collections.abc import Callable

from db.catalogue import CatalogueEntry, read_catalogue
from db.database import Database
from db.reach import LOOKUP
from db.tables import Model, Version
from inference.listings import AliasListing, ModelListing, VersionListing
from inference.loading import Loader


def read_listings(database: Database) -> list[ModelListing]:
    """Returns every model with its active versions. Raises `DatabaseUnavailable`."""
    with database.reading(LOOKUP) as session:
        entries = read_catalogue(session)
    return [model_listing(entry) for entry in entries.values()]


def model_listing(entry: CatalogueEntry) -> ModelListing:
    model, names = entry.model, entry.version_names()
    return ModelListing(
        id=model.id,
        name=model.name,
        description=model.description,
        is_public=model.is_public,
        granted_to=frozenset(entry.granted_to),
        versions={name: version_listing(version) for name, version in entry.versions.items()},
        aliases={
            name: AliasListing(names[alias.version_id], names.get(alias.canary_version_id or ""), alias.share)
            for name, alias in entry.aliases.items()
        },
    )


def version_listing(version: Version) -> VersionListing:
    return VersionListing(
        id=version.id,
        model_id=version.model_id,
        name=version.name,
        format=version.format,
        artifact_sha256=version.artifact_sha256,
        compiled_sha256=version.compiled_sha256,
        compilation=version.compilation,
        row_schema=version.row_schema,
        mac=version.mac,
        created_at=version.created_at,
    )


def trial_by(loader: Loader) -> Callable[[Model, Version], None]:
    """Returns a function that loads a version as a server would and lets it go again; it raises what loading raises."""

    def trial(model: Model, version: Version) -> None:
        listing = ModelListing(
            model.id, model.name, "", is_public=False, granted_to=frozenset(), versions={}, aliases={}
        )
        loader.load(listing, version_listing(version))

    return trial
