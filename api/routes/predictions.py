"""Predictions: one row or many, from a named model or the default one."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.dependencies import call_of, caller, parts_of
from api.documents import BATCH_ANSWER, ROW_ANSWER
from api.http.body import hung_up, read_body
from api.http.direct_route import DirectRoute, JsonBytes
from auth.principal import Partner, Scope
from serving.wire.native import LIST, ROW, ROWS, Format

router = APIRouter(route_class=DirectRoute, tags=["predictions"])

Caller = Annotated[Partner, caller(Scope.PREDICT, is_prediction=True)]


@router.post("/v1/models/{model}/predict", responses=ROW_ANSWER, summary="Predict one row")
async def predict(request: Request, model: str, caller: Caller, version: str | None = None) -> Response:
    """The prediction for one row, which is the body."""
    return await _answer(request, caller, model, version, ROW)


@router.post("/v1/models/{model}/predict/batch", responses=BATCH_ANSWER, summary="Predict many rows")
async def predict_batch(request: Request, model: str, caller: Caller, version: str | None = None) -> Response:
    """The predictions for the rows, in order; all of them or none."""
    return await _answer(request, caller, model, version, ROWS)


@router.post("/predict", responses=ROW_ANSWER, summary="Predict one row with the default model")
async def predict_default(request: Request, caller: Caller) -> Response:
    """The default model's prediction for one row, which is the body."""
    return await _answer(request, caller, parts_of(request).settings.default_model, None, ROW)


@router.post("/batch_predict", responses=BATCH_ANSWER, summary="Predict many rows with the default model")
async def predict_batch_default(request: Request, caller: Caller) -> Response:
    """The default model's predictions for a list of rows, in order; all of them or none."""
    return await _answer(request, caller, parts_of(request).settings.default_model, None, LIST)


async def _answer(request: Request, caller: Partner, model: str, version: str | None, form: Format) -> Response:
    parts = parts_of(request)
    body = partial(read_body, request, parts.settings.max_body_bytes)
    answer = await parts.predictor.predict(
        call_of(request), caller, model=model, version=version, form=form, read_body=body,
        hung_up=partial(hung_up, request),
    )  # fmt: skip
    return JsonBytes(answer)
