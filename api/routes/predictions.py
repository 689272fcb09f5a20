"""Predictions: one row or many, from a named model or the default one."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import admission
from api.documents import BATCH_ANSWER, ROW_ANSWER
from api.http.accept import require_json
from api.http.body import hung_up, read_body
from api.http.direct_route import DirectRoute, JsonBytes
from api.http.refusals import InvalidParameter
from api.http.security import parts_of
from serving.admission import PREDICTION, Admission
from serving.predictor import Question
from serving.wire.format import WireFormat
from serving.wire.native import LIST, ROW, ROWS

router = APIRouter(route_class=DirectRoute, tags=["predictions"])

SCORES = "scores"

Admitted = Annotated[Admission, admission(PREDICTION)]
Include = Annotated[
    str | None,
    Query(
        description="`scores` adds the scores behind each prediction, if the version has any.",
        json_schema_extra={"enum": [SCORES]},
    ),
]


@router.post("/v1/models/{model}/predict", responses=ROW_ANSWER, summary="Predict one row")
async def predict(
    request: Request, model: str, admitted: Admitted, version: str | None = None, include: Include = None
) -> Response:
    """The prediction for one row, which is the body."""
    return await _answer(request, admitted, model, version, include, ROW)


@router.post("/v1/models/{model}/predict/batch", responses=BATCH_ANSWER, summary="Predict many rows")
async def predict_batch(
    request: Request, model: str, admitted: Admitted, version: str | None = None, include: Include = None
) -> Response:
    """The predictions for the rows, in order; all of them or none."""
    return await _answer(request, admitted, model, version, include, ROWS)


@router.post("/predict", responses=ROW_ANSWER, summary="Predict one row with the default model")
async def predict_default(request: Request, admitted: Admitted, include: Include = None) -> Response:
    """The default model's prediction for one row, which is the body."""
    return await _answer(request, admitted, parts_of(request).settings.default_model, None, include, ROW)


@router.post("/batch_predict", responses=BATCH_ANSWER, summary="Predict many rows with the default model")
async def predict_batch_default(request: Request, admitted: Admitted, include: Include = None) -> Response:
    """The default model's predictions for a list of rows, in order; all of them or none."""
    return await _answer(request, admitted, parts_of(request).settings.default_model, None, include, LIST)


async def _answer(
    request: Request, admission: Admission, model: str, version: str | None, include: str | None, wire: WireFormat
) -> Response:
    require_json(request)
    if include not in (None, SCORES):
        raise InvalidParameter("include", "may only be scores")
    parts = parts_of(request)
    body = partial(read_body, request, parts.settings.max_body_bytes)
    question = Question(model, version, wire, body, partial(hung_up, request), with_scores=include is not None)
    return JsonBytes(await parts.predictor.predict(admission, question))
