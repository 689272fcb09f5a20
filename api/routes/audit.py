"""The prediction log, for those it is about: a tenant's own records."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime
from sqlalchemy import RowMapping

from api.dependencies import caller, parts_of
from api.errors import InvalidParameter, RecordNotFound
from auth.principal import Principal, Scope
from db.database import Database
from db.prediction_log import Filters, find_record, search
from db.tables import PredictionRecord

router = APIRouter(tags=["audit"])

Caller = Annotated[Principal, caller(Scope.AUDIT_READ_OWN, is_charged=True)]
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@router.get("/audit/predictions", summary="Search the prediction log")
async def search_predictions(
    request: Request,
    caller: Caller,
    tenant: str | None = None,
    key: str | None = None,
    model: str | None = None,
    version: str | None = None,
    outcome: str | None = None,
    status: int | None = None,
    request_id: str | None = None,
    fingerprint: str | None = None,
    from_at: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to_at: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    min_latency_ms: Annotated[float | None, Query(ge=0, le=1e9)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """The tenant's records, newest first, in pages: `next` is the `after` of the following page."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    if not known.issuperset(request.query_params):
        # A mistyped filter must not widen what is found.
        raise InvalidParameter("query", f"may only be {', '.join(sorted(known))}")
    if tenant not in (None, caller.tenant) or (request_id is not None and not _UUID.fullmatch(request_id)):
        return {"records": [], "next": None}
    filters = Filters(
        tenant_id=caller.tenant_id,
        key_id=key,
        model=model,
        version=version,
        outcome=outcome,
        status=status,
        request_id=request_id,
        fingerprint=fingerprint,
        from_at=from_at,
        to_at=to_at,
        min_latency_us=None if min_latency_ms is None else round(min_latency_ms * 1000),
    )
    place = None if after is None else _place(after)
    parts = parts_of(request)
    await parts.log.flush()
    return await run_in_threadpool(_search, parts.database, filters, limit, place)


@router.get("/audit/predictions/{request_id}", summary="One record of the prediction log")
async def find_prediction(request: Request, request_id: str, caller: Caller) -> dict[str, Any]:
    """The record of a request, by the id that its answer carried."""
    parts = parts_of(request)
    await parts.log.flush()
    if not _UUID.fullmatch(request_id):
        raise RecordNotFound
    found = await run_in_threadpool(_find, parts.database, request_id, caller.tenant_id)
    if found is None:
        raise RecordNotFound
    return found


def _search(database: Database, filters: Filters, limit: int, place: tuple[datetime, str] | None) -> dict[str, Any]:
    with database.reading() as session:
        records, following = search(session, filters, limit=limit, after=place)
    return {"records": [_shown(each) for each in records], "next": following and _cursor(*following)}


def _find(database: Database, request_id: str, tenant_id: str) -> dict[str, Any] | None:
    with database.reading() as session:
        found = find_record(session, request_id, tenant_id=tenant_id)
    return None if found is None else _shown(found)


def _shown(found: RowMapping) -> dict[str, Any]:
    record: PredictionRecord = found[PredictionRecord]
    return {
        "request_id": record.request_id,
        "client_request_id": record.client_request_id,
        "at": record.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "tenant": found["tenant"] or record.tenant_id,
        "key_id": record.key_id,
        "subject": record.subject,
        "model": found["model"],
        "version": found["version"],
        "artifact_sha256": record.artifact_sha256,
        "route": record.route,
        "rows": record.rows,
        "count": record.count,
        "outcome": record.outcome,
        "status": record.status,
        "latency_ms": record.latency_us / 1000,
        "inference_ms": None if record.inference_us is None else record.inference_us / 1000,
        "inputs": None if record.inputs is None else orjson.loads(record.inputs),
        "outputs": None if record.outputs is None else orjson.loads(record.outputs),
        "fingerprint": record.fingerprint,
        "address": record.address,
    }


def _cursor(at: datetime, request_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {request_id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        at, request_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        instant = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        raise InvalidParameter("after", "must be a `next` of an earlier page") from None
    if instant.tzinfo is None or not _UUID.fullmatch(request_id):
        raise InvalidParameter("after", "must be a `next` of an earlier page")
    return instant, request_id
