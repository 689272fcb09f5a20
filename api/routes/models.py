"""The models that a caller may use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from api.dependencies import known_caller
from api.http.direct_route import JsonBytes
from api.http.security import parts_of
from auth.principal import Principal, Scope
from quotas.allowances import DESCRIPTIONS
from serving.catalogue import summary_of

router = APIRouter(tags=["models"])

Caller = Annotated[Principal, known_caller(Scope.MODELS_READ, Scope.PREDICT, allowance=DESCRIPTIONS)]


@router.get("/v1/models", summary="List the models you may use")
async def list_models(request: Request, caller: Caller) -> dict[str, Any]:
    """Every model this caller may use, with its versions and aliases."""
    return {"models": [summary_of(model) for model in parts_of(request).catalogue.usable(caller)]}


@router.get("/v1/models/{model}", summary="Describe a model")
async def describe_model(request: Request, model: str, caller: Caller) -> Response:
    """A model's versions, each with the JSON Schema of a row and the result of its compilation test."""
    return JsonBytes(parts_of(request).catalogue.description(caller, model))
