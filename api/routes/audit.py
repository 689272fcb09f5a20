"""The prediction log, for auditors, and for those it is about: a tenant's own records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime
from sqlalchemy import RowMapping

from admin.changes import change_by
from api.dependencies import caller
from api.http.direct_route import JsonBytes
from api.http.refusals import InvalidParameter, RecordNotFound
from api.http.security import parts_of
from api.lists import check_query, cursor_of, place_of
from auth.principal import Principal, Role, Scope
from db.database import Database
from db.events import record_event
from db.prediction_log import Filters, find_record, search
from db.reach import Reach
from db.tables import PredictionRecord
from db.tenants import find_tenant
from quotas.allowances import READINGS, SEARCHES
from values.ids import is_uuid7

router = APIRouter(tags=["audit"])

Searcher = Annotated[Principal, caller(Scope.AUDIT_READ_OWN, Role.AUDITOR, allowance=SEARCHES, takes_place=True)]
Reader = Annotated[Principal, caller(Scope.AUDIT_READ_OWN, Role.AUDITOR, allowance=READINGS, takes_place=True)]
Place = tuple[datetime, str]
#: A page ends early rather than hold more than this of inputs and outputs.
MAX_PAGE_CHARACTERS = 8 << 20


@router.get("/audit/predictions", summary="Search the prediction log")
async def search_predictions(
    request: Request,
    caller: Searcher,
    tenant: str | None = None,
    key: str | None = None,
    model: str | None = None,
    version: str | None = None,
    outcome: str | None = None,
    status: Annotated[int | None, Query(ge=100, le=599)] = None,
    request_id: str | None = None,
    fingerprint: str | None = None,
    from_at: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to_at: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    min_latency_ms: Annotated[float | None, Query(ge=0, le=1e9)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> Response:
    """The records that you may see, newest first, in pages: `next` is the `after` of the following page."""
    check_query(request)
    filters = Filters(
        tenant_id=caller.reach,
        key_id=key,
        model=model,
        version=version,
        outcome=outcome,
        status=status,
        request_id=request_id,
        fingerprint=fingerprint,
        from_at=_in_utc(from_at, "from"),
        to_at=_in_utc(to_at, "to"),
        min_latency_us=None if min_latency_ms is None else round(min_latency_ms * 1000),
    )
    place = None if after is None else _place(after)
    parts = parts_of(request)
    asked = dict(request.query_params)
    reach = await run_in_threadpool(_note_reading, parts.database, caller, "log.search", tenant, asked)
    if reach is None or (request_id is not None and not is_uuid7(request_id)):
        return JsonBytes(orjson.dumps({"records": [], "next": None}))
    await parts.log.flush()
    async with parts.searches:
        return JsonBytes(
            await run_in_threadpool(_search, parts.database, replace(filters, tenant_id=reach), limit, place)
        )


@router.get("/audit/predictions/{request_id}", summary="One record of the prediction log")
async def find_prediction(request: Request, request_id: str, caller: Reader) -> Response:
    """The record of a request, by the id that its answer carried."""
    parts = parts_of(request)
    if not is_uuid7(request_id):
        raise RecordNotFound
    asked = {"request_id": request_id}
    await run_in_threadpool(_note_reading, parts.database, caller, "log.read", None, asked)
    await parts.log.flush()
    async with parts.searches:
        found = await run_in_threadpool(_find, parts.database, request_id, caller.reach)
    if found is None:
        raise RecordNotFound
    return JsonBytes(found)


def _note_reading(
    database: Database, caller: Principal, verb: str, tenant: str | None, asked: dict[str, str]
) -> Reach | None:
    """Records that the log is read, before it is; returns whose records may be found, None for nobody's."""
    with change_by(database, caller, caller.reach) as session:
        named = None if tenant is None else find_tenant(session, tenant, tenant_id=caller.reach)
        found: Reach | None = caller.reach if tenant is None else named.id if named else None
        whose = [each for each in (found, caller.reach) if isinstance(each, str)]
        tenant_id = whose[0] if whose else None
        record_event(session, actor=caller.subject, verb=verb, object_id="log", tenant_id=tenant_id, asked=asked)
    return found


def _search(database: Database, filters: Filters, limit: int, place: Place | None) -> bytes:
    """The page's bytes; in a thread, since a thousand records of a thousand rows are many megabytes."""
    with database.reading(filters.tenant_id) as session:
        records, following = search(session, filters, limit=limit, after=place, max_characters=MAX_PAGE_CHARACTERS)
    return orjson.dumps(
        {
            "records": [_shown(each) for each in records],
            "next": following and cursor_of(f"{following[0].isoformat()} {following[1]}"),
        }
    )


def _find(database: Database, request_id: str, tenant_id: Reach) -> bytes | None:
    with database.reading(tenant_id) as session:
        found = find_record(session, request_id, tenant_id=tenant_id)
    return None if found is None else orjson.dumps(_shown(found))


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
        "inputs": None if record.inputs is None else orjson.Fragment(record.inputs),
        "outputs": None if record.outputs is None else orjson.Fragment(record.outputs),
        "fingerprint": record.fingerprint,
        "address": record.address,
    }


def _place(cursor: str) -> Place:
    try:
        at, request_id = place_of(cursor).split(" ")
        instant = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidParameter("after", "must be a `next` of an earlier page") from None
    if instant.tzinfo is None or not is_uuid7(request_id):
        raise InvalidParameter("after", "must be a `next` of an earlier page")
    return _in_utc(instant, "after"), request_id


def _in_utc(instant: Any, name: str) -> Any:
    """The same instant in UTC; there is none for the first and last hours of the calendar elsewhere."""
    try:
        return instant and instant.astimezone(UTC)
    except OverflowError:
        raise InvalidParameter(name, "must lie within the years 1 to 9999 in UTC") from None
