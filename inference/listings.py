"""Registered models, versions and aliases, as they are listed in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from inference.report import CompilationReport

PRODUCTION = "production"
_SHARE_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class VersionListing:
    """A version as it is registered; `mac` vouches for everything that is loaded of it.

    `compilation` is the report as it is stored, which the MAC covers; `report` is the same, parsed.
    """

    id: str
    model_id: str
    name: str
    format: str
    artifact_sha256: str
    compiled_sha256: str | None
    compilation: Mapping[str, Any]
    row_schema: Mapping[str, Any]
    mac: str
    created_at: datetime

    @property
    def report(self) -> CompilationReport:
        return CompilationReport.from_stored(self.compilation)

    def facts(self) -> bytes:
        """The bytes that the MAC covers: whoever writes to the database cannot have another file opened."""
        return version_facts(self)


class Version(Protocol):
    """A version's facts, in a listing or in a row of the database."""

    @property
    def id(self) -> str: ...
    @property
    def model_id(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def artifact_sha256(self) -> str: ...
    @property
    def compiled_sha256(self) -> str | None: ...
    @property
    def compilation(self) -> Mapping[str, Any]: ...
    @property
    def row_schema(self) -> Mapping[str, Any]: ...


def version_facts(version: Version) -> bytes:
    """A version's facts in canonical bytes. The order of a schema's properties is that of the model's features."""
    names = list(version.row_schema["properties"])
    facts = [
        version.id,
        version.model_id,
        version.format,
        version.artifact_sha256,
        version.compiled_sha256,
        version.compilation,
        version.row_schema,
        names,
    ]
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class AliasListing:
    """A moving name for a version; `share` percent of the keys are answered by the `canary` instead."""

    version: str
    canary: str | None = None
    share: float = 0.0

    def for_key(self, model_id: str, alias: str, key_id: str | None) -> str:
        """The version that answers a key: always the same one, as long as neither version nor share changes."""
        if (
            self.canary is None
            or key_id is None
            or _standing(model_id, alias, key_id) >= self.share * _SHARE_STEPS / 100
        ):
            return self.version
        return self.canary

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.version,) if self.canary is None else (self.version, self.canary)


def _standing(model_id: str, alias: str, key_id: str) -> int:
    """A key's rank among all keys: evenly spread, and different for each alias."""
    digest = hashlib.blake2b(f"{model_id}/{alias}/{key_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _SHARE_STEPS


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as it is registered; `versions` are those in use, by name."""

    id: str
    name: str
    description: str
    is_public: bool
    granted_to: frozenset[str]
    versions: Mapping[str, VersionListing]
    aliases: Mapping[str, AliasListing]

    def is_for(self, tenant_id: str | None) -> bool:
        """Whether that tenant may use it; for None, whether everybody may."""
        return self.is_public or tenant_id in self.granted_to
