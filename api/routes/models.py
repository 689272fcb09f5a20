"""The models that a caller may use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from api.dependencies import caller, parts_of
from auth.principal import Partner, Principal, Scope
from inference.features import example_row
from inference.listings import PRODUCTION, ModelListing, VersionListing
from inference.registry import ModelNotFound

router = APIRouter(tags=["models"])

Caller = Annotated[Partner, caller(Scope.MODELS_READ, Scope.PREDICT)]


@router.get("/v1/models", summary="List the models you may use")
async def list_models(request: Request, caller: Caller) -> dict[str, Any]:
    """Every model this caller may use, with its versions and aliases."""
    return {"models": [_summary(model) for model in usable_models(request, caller)]}


@router.get("/v1/models/{model}", summary="Describe a model")
async def describe_model(request: Request, model: str, caller: Caller) -> dict[str, Any]:
    """A model's versions, each with the JSON Schema of a row and the result of its compilation test."""
    for each in usable_models(request, caller):
        if each.name == model:
            return _description(each)
    raise ModelNotFound


def usable_models(request: Request, principal: Principal | None) -> list[ModelListing]:
    """The models that the caller, or for None anybody, may use; a person uses none, and sees the public ones."""
    partner = principal if isinstance(principal, Partner) else None
    models = parts_of(request).registry.visible(partner.tenant_id if partner else None)
    return [model for model in models if partner is None or partner.may_use(model.name)]


def _summary(model: ModelListing) -> dict[str, Any]:
    return {
        "name": model.name,
        "description": model.description,
        "versions": list(model.versions),
        "aliases": {name: alias.version for name, alias in model.aliases.items()},
    }


def _description(model: ModelListing) -> dict[str, Any]:
    versions = [
        {
            "version": name,
            "created_at": version.created_at,
            "artifact_sha256": version.artifact_sha256,
            "engine": version.compilation["engine"],
            "compilation": version.compilation,
            "schema": version.row_schema,
            "example": example_row(version.row_schema),
            "classes": version.compilation["classes"],
        }
        for name, version in model.versions.items()
    ]
    version = production_of(model)
    return _summary(model) | {"schema": version.row_schema if version else None, "version_details": versions}


def production_of(model: ModelListing) -> VersionListing | None:
    """The version that answers where none is asked for."""
    alias = model.aliases.get(PRODUCTION)
    return None if alias is None else model.versions.get(alias.version)
