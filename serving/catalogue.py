"""The models that a caller may use, and their descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from auth.principal import Partner, Principal
from inference.listings import PRODUCTION, ModelListing, VersionListing
from inference.registry import ModelNotFound, Registry
from inference.rows.features import example_row, with_default_lengths


class Catalogue:
    """The registry's models as callers see them. A description is made once: it may have 10,000 features."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        #: By the model's id: the listing that was described, and its description.
        self._described: dict[str, tuple[ModelListing, bytes]] = {}

    def usable(self, principal: Principal | None) -> list[ModelListing]:
        """The models that a key's caller may use; people, and None for anybody, see the public ones."""
        partner = principal if isinstance(principal, Partner) else None
        models = self._registry.visible(partner.tenant_id if partner else None)
        return [model for model in models if partner is None or partner.may_use(model.name)]

    def description(self, principal: Principal | None, name: str) -> bytes:
        """A model's versions as JSON, each with the JSON Schema of a row. Raises `ModelNotFound`."""
        model = next((each for each in self.usable(principal) if each.name == name), None)
        if model is None:
            raise ModelNotFound
        listing, described = self._described.get(model.id, (None, b""))
        if listing is not model:
            described = orjson.dumps(_description(model))
            self._described[model.id] = model, described
        return described


def summary_of(model: ModelListing) -> dict[str, Any]:
    """A model with the names of its versions and aliases."""
    return {
        "name": model.name,
        "description": model.description,
        "versions": list(model.versions),
        "aliases": {name: alias.version for name, alias in model.aliases.items()},
    }


def production_of(model: ModelListing) -> VersionListing | None:
    """The version that answers callers who ask for none."""
    alias = model.aliases.get(PRODUCTION)
    return None if alias is None else model.versions.get(alias.version)


def _score_names(version: VersionListing) -> Sequence[str] | None:
    """The names of the scores that `include=scores` adds to an answer."""
    scores = version.report.scores
    return scores.names if scores else None


def _description(model: ModelListing) -> dict[str, Any]:
    versions = [
        {
            "version": name,
            "created_at": version.created_at,
            "artifact_sha256": version.artifact_sha256,
            "engine": version.report.engine,
            "compilation": version.compilation,
            "schema": with_default_lengths(version.row_schema),
            "example": example_row(version.row_schema),
            "classes": version.report.classes,
            "scores": _score_names(version),
        }
        for name, version in model.versions.items()
    ]
    version = production_of(model)
    schema = with_default_lengths(version.row_schema) if version else None
    return summary_of(model) | {"schema": schema, "version_details": versions}
