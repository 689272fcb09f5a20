"""The models that a caller may use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from api.dependencies import caller, parts_of
from auth.principal import Partner, Principal, Scope
from inference.registry import PRODUCTION, ModelNotFound, ServedModel

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
        if each.listing.name == model:
            return _description(each)
    raise ModelNotFound


def usable_models(request: Request, principal: Principal | None) -> list[ServedModel]:
    """The models that the caller, or for None anybody, may use; a person uses none, and sees the public ones."""
    partner = principal if isinstance(principal, Partner) else None
    models = parts_of(request).registry.visible(partner.tenant_id if partner else None)
    return [model for model in models if partner is None or partner.may_use(model.listing.name)]


def _summary(model: ServedModel) -> dict[str, Any]:
    listing = model.listing
    return {
        "name": listing.name,
        "description": listing.description,
        "versions": list(listing.versions),
        "aliases": dict(listing.aliases),
    }


def _description(model: ServedModel) -> dict[str, Any]:
    versions = [
        {
            "version": name,
            "created_at": version.listing.created_at,
            "artifact_sha256": version.listing.artifact_sha256,
            "engine": version.engine.name,
            "compilation": version.listing.compilation,
            "schema": version.schema.document,
            "example": version.schema.example(),
            "classes": version.engine.class_names,
        }
        for name, version in model.versions.items()
    ]
    default = model.listing.aliases.get(PRODUCTION, "")
    schema = model.versions[default].schema.document if default in model.versions else None
    return _summary(model) | {"schema": schema, "version_details": versions}
