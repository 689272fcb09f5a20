"""Models by name, version and alias: what is loaded, who may use it, and which version answers."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

import joblib

from inference.artifacts import ArtifactStore
from inference.engines import CompiledEngine, Engine, Graph, Pool, TrainedEngine
from inference.schema import RowSchema

PRODUCTION = "production"

logger = logging.getLogger("adyton.inference")


class ModelNotFound(Exception):
    """No such model or version, or none that this caller may use: the two are not told apart."""


class ModelNotAvailable(Exception):
    """The version is registered, and could not be loaded."""


@dataclass(frozen=True, slots=True)
class VersionListing:
    """A version as it is registered."""

    id: str
    name: str
    artifact_sha256: str
    artifact_mac: str
    compiled_sha256: str | None
    compiled_mac: str | None
    compilation: Mapping[str, Any]
    row_schema: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as it is registered; `aliases` maps to names of versions."""

    id: str
    name: str
    description: str
    is_public: bool
    granted_to: frozenset[str]
    versions: Mapping[str, VersionListing]
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version that can answer."""

    model_id: str
    model: str
    listing: VersionListing
    schema: RowSchema
    engine: Engine


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, with those of its versions that could be loaded."""

    listing: ModelListing
    versions: Mapping[str, ServedVersion]

    def is_for(self, tenant_id: str | None) -> bool:
        """Whether that tenant, or for None anybody, may use it."""
        return self.listing.is_public or tenant_id in self.listing.granted_to

    def version(self, wanted: str | None) -> ServedVersion:
        """The version of that name or alias; `production` for None. Raises `ModelNotFound`, `ModelNotAvailable`."""
        name = self.listing.aliases.get(wanted or PRODUCTION, wanted)
        if name is None or name not in self.listing.versions:
            raise ModelNotFound
        if name not in self.versions:
            raise ModelNotAvailable
        return self.versions[name]


class Registry:
    """What is served now. Each change is built beside the present state and swapped in whole.

    `restrict` and `load` are called by one thread each, and never wait for one another.
    """

    def __init__(self, store: ArtifactStore, *, max_rows: int) -> None:
        self._store = store
        self._max_rows = max_rows
        self._pool = Pool()
        self._lock = Lock()
        self._models: dict[str, ServedModel] = {}
        self._now: dict[str, ModelListing] | None = None

    def load(self, listings: Sequence[ModelListing]) -> None:
        """Serves exactly these models; versions that are loaded stay loaded, others are loaded first."""
        loaded = {version.listing.id: version for model in self._models.values() for version in model.versions.values()}
        models = {listing.name: self._serve(listing, loaded) for listing in listings}
        with self._lock:
            # Loading takes as long as it takes: who may use what may have been restricted meanwhile.
            self._models = models if self._now is None else _restricted(models, self._now)

    def restrict(self, listings: Sequence[ModelListing]) -> None:
        """At once, and without loading anything: models are for those that they are for now."""
        with self._lock:
            self._now = {listing.id: listing for listing in listings}
            self._models = _restricted(self._models, self._now)

    def find(self, name: str, version: str | None, *, tenant_id: str) -> ServedVersion:
        """The version that answers that tenant. Raises `ModelNotFound` or `ModelNotAvailable`."""
        model = self._models.get(name)
        if model is None or not model.is_for(tenant_id):
            raise ModelNotFound
        return model.version(version)

    def visible(self, tenant_id: str | None) -> list[ServedModel]:
        """The models that tenant, or for None anybody, may use."""
        return [model for model in self._models.values() if model.is_for(tenant_id)]

    @property
    def is_complete(self) -> bool:
        """Whether every registered version is loaded."""
        return all(len(model.versions) == len(model.listing.versions) for model in self._models.values())

    def close(self) -> None:
        self._pool.close()

    def _serve(self, listing: ModelListing, loaded: Mapping[str, ServedVersion]) -> ServedModel:
        versions = {}
        for name, version in listing.versions.items():
            try:
                versions[name] = loaded.get(version.id) or self._load(listing, version)
            except Exception as error:  # noqa: BLE001  one bad file must not take the others down
                logger.error("model %s version %s cannot be served: %s", listing.name, name, error)  # noqa: TRY400
        return ServedModel(listing, versions)

    def _load(self, model: ModelListing, version: VersionListing) -> ServedVersion:
        # The bytes that are opened are the bytes that were verified; the file is not read again.
        content = self._store.get(version.artifact_sha256, version.artifact_mac)
        trained = TrainedEngine(joblib.load(io.BytesIO(content)), self._pool)
        engine: Engine = trained
        if version.compiled_sha256 and version.compiled_mac:
            graph = Graph(self._store.get(version.compiled_sha256, version.compiled_mac))
            engine = CompiledEngine(graph, trained, version.compilation.get("tie_margin", 0.0), self._pool)
        return ServedVersion(model.id, model.name, version, RowSchema(version.row_schema, self._max_rows), engine)


def _restricted(models: Mapping[str, ServedModel], now: Mapping[str, ModelListing]) -> dict[str, ServedModel]:
    """Those models that there still are, for those that they are for now."""
    return {
        name: replace(model, listing=replace(model.listing, is_public=new.is_public, granted_to=new.granted_to))
        for name, model in models.items()
        if (new := now.get(model.listing.id)) is not None
    }
