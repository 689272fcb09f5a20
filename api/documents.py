"""The OpenAPI document: typed rows and a runnable example for every model that the reader may use."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi

from api.dependencies import admitted, visitor
from api.http.security import parts_of
from auth.principal import Principal
from inference.listings import ModelListing, VersionListing
from inference.report import ScoresReport
from inference.rows.features import example_row, with_default_lengths
from program.settings import Settings
from quotas.allowances import DESCRIPTIONS
from serving.admission import Need
from serving.catalogue import production_of

router = APIRouter(include_in_schema=False)

MAX_REMEMBERED = 64
READS_DESCRIPTIONS = Need(allowance=DESCRIPTIONS)
_PREDICTION = {
    "prediction": {"description": "The class label in its own JSON type, a number, or a list of either."},
    "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    "scores": {
        "type": "object",
        "additionalProperties": {"type": "number"},
        "description": "Only with `include=scores`: the scores behind the prediction, by their names.",
    },
}
_HEAD = {"request_id": {"type": "string", "format": "uuid"}, "model": {"type": "string"}, "version": {"type": "string"}}


def _answer(properties: dict[str, Any], required: list[str]) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object", "properties": _HEAD | properties, "required": [*_HEAD, *required]}
    return {200: {"description": "Answered and recorded", "content": {"application/json": {"schema": schema}}}}


ROW_ANSWER = _answer(_PREDICTION, ["prediction"])
BATCH_ANSWER = _answer(
    {
        "count": {"type": "integer"},
        "predictions": {
            "type": "array",
            "items": {"type": "object", "properties": _PREDICTION, "required": ["prediction"]},
        },
    },
    ["count", "predictions"],
)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Describes the public models; to a known caller, the models that it may use."""
    principal = await visitor(request)
    if principal is None:
        return await _document_for(request, None)
    async with admitted(request, principal, READS_DESCRIPTIONS):
        return await _document_for(request, principal)


async def _document_for(request: Request, principal: Principal | None) -> Response:
    parts = parts_of(request)
    # In a thread: making a document for the first time takes long.
    models = parts.catalogue.usable(principal)
    document = await run_in_threadpool(_remembered, request.app, models, parts.settings)
    return Response(document, media_type="application/json")


def _remembered(app: FastAPI, models: Sequence[ModelListing], settings: Settings) -> bytes:
    """The document's bytes, made once for each set of models that callers may use."""
    served = {model.name: version for model in models if (version := production_of(model)) is not None}
    served_ids = tuple(sorted((name, version.id) for name, version in served.items()))
    documents: dict[Any, bytes] = app.state.documents
    if served_ids not in documents:
        if len(documents) >= MAX_REMEMBERED:
            documents.clear()
        documents[served_ids] = orjson.dumps(_document(app, served, settings))
    return documents[served_ids]


def _document(app: FastAPI, served: dict[str, VersionListing], settings: Settings) -> dict[str, Any]:
    max_rows = settings.max_batch_rows
    document = copy.deepcopy(
        get_openapi(title="Adyton", version=app.version, description=app.description, routes=app.routes)
    )
    if settings.root_path:
        document["servers"] = [{"url": settings.root_path}]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for name, version in served.items():
        schemas[f"Row.{name}"] = with_default_lengths(version.row_schema)
        if version.report.scores is not None:
            schemas[f"Scores.{name}"] = _scores(version.report.scores)
    for path, item in document["paths"].items():
        for operation in item.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _DEFAULT_RESPONSE
        if path.startswith("/v1/models/{model}"):
            _name_models(item, list(served))
    names = {name: version for name, version in served.items() if name == settings.default_model}
    bodies = {
        "/v1/models/{model}/predict": _body(served, _row),
        "/v1/models/{model}/predict/batch": _body(served, _rows, max_rows),
        "/predict": _body(names, _row),
        "/batch_predict": _body(names, _list, max_rows),
    }
    for path, body in bodies.items():
        operation = document["paths"][path]["post"]
        operation["requestBody"] = body
        _name_scores(operation, served if "{model}" in path else names)
    return document


def _scores(scores: ScoresReport) -> dict[str, Any]:
    """The JSON Schema of a row's scores."""
    numbers = {name: {"type": "number"} for name in scores.names}
    return {"type": "object", "properties": numbers, "required": list(numbers), "additionalProperties": False}


def _name_scores(operation: dict[str, Any], served: Mapping[str, VersionListing]) -> None:
    """Says of the answer's `scores` which models have any, and which."""
    schemas = [{"$ref": f"#/components/schemas/Scores.{name}"} for name, v in served.items() if v.report.scores]
    properties = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    item = properties["predictions"]["items"]["properties"] if "predictions" in properties else properties
    if schemas:
        words = {"description": item["scores"]["description"]}
        item["scores"] = words | (schemas[0] if len(schemas) == 1 else {"anyOf": schemas})
    else:
        del item["scores"]


def _name_models(item: dict[str, Any], names: list[str]) -> None:
    for operation in item.values():
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "model" and names:
                parameter["schema"] = {"type": "string", "enum": names}


def _body(served: dict[str, VersionListing], shape: Any, *bounds: int) -> dict[str, Any]:
    shapes = {
        name: shape({"$ref": f"#/components/schemas/Row.{name}"}, example_row(v.row_schema), *bounds)
        for name, v in served.items()
    }
    schemas = [schema for schema, _ in shapes.values()]
    content: dict[str, Any] = {"schema": {"anyOf": schemas} if len(schemas) != 1 else schemas[0]}
    if shapes:
        content["examples"] = {name: {"summary": f"A row of {name}", "value": v} for name, (_, v) in shapes.items()}
    else:
        content["schema"] = {"type": "object"}
    return {"required": True, "content": {"application/json": content}}


def _row(reference: dict[str, Any], example: Any) -> tuple[dict[str, Any], Any]:
    return reference, example


def _list(reference: dict[str, Any], example: Any, max_rows: int) -> tuple[dict[str, Any], Any]:
    return {"type": "array", "items": reference, "minItems": 1, "maxItems": max_rows}, [example, example]


def _rows(reference: dict[str, Any], example: Any, max_rows: int) -> tuple[dict[str, Any], Any]:
    rows, examples = _list(reference, example, max_rows)
    schema = {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}
    return schema, {"rows": examples}


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "format": "uuid"},
        "violated-policies": {"type": "array", "items": {"type": "string"}},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "at": {"type": "string", "description": "JSON Pointer"},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["at", "rule", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}
_DEFAULT_RESPONSE = {
    "description": "Any refusal or failure",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
