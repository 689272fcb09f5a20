"""The prediction log, for those it is about: a tenant's own records."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime
from sqlalchemy import RowMapping

from api.dependencies import caller, parts_of
from api.direct_route import DuplicateParameter, JsonBytes
from api.errors import InvalidParameter, RecordNotFound
from auth.principal import Principal, Scope
from db.database import Database
from db.ids import is_request_id
from db.prediction_log import Filters, find_record, search
from db.tables import PredictionRecord

router = APIRouter(tags=["audit"])

Caller = Annotated[Principal, caller(Scope.AUDIT_READ_OWN, takes_place=True)]
Place = tuple[datetime, str]
MAX_FILTER = 200
#: A page ends early rather than hold more than this of inputs and outputs.
MAX_PAGE_CHARACTERS = 8 << 20


@router.get("/audit/predictions", summary="Search the prediction log")
async def search_predictions(
    request: Request,
    caller: Caller,
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
    """The tenant's records, newest first, in pages: `next` is the `after` of the following page."""
    _check_query(request)
    if tenant not in (None, caller.tenant) or (request_id is not None and not is_request_id(request_id)):
        return JsonBytes(orjson.dumps({"records": [], "next": None}))
    filters = Filters(
        tenant_id=caller.tenant_id,
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
    await parts.log.flush()
    async with parts.searches:
        return JsonBytes(await run_in_threadpool(_search, parts.database, filters, limit, place))


@router.get("/audit/predictions/{request_id}", summary="One record of the prediction log")
async def find_prediction(request: Request, request_id: str, caller: Caller) -> Response:
    """The record of a request, by the id that its answer carried."""
    parts = parts_of(request)
    if not is_request_id(request_id):
        raise RecordNotFound
    await parts.log.flush()
    async with parts.searches:
        found = await run_in_threadpool(_find, parts.database, request_id, caller.tenant_id)
    if found is None:
        raise RecordNotFound
    return JsonBytes(found)


def _check_query(request: Request) -> None:
    """A filter that is misspelt must not widen what is found, and which of two counts must not be anybody's guess."""
    given = request.query_params.multi_items()
    if len(given) > len(request.query_params):
        raise DuplicateParameter
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name, value in given:
        if name not in known:
            raise InvalidParameter("query", f"may only be {', '.join(sorted(known))}")
        if len(value) > MAX_FILTER or "\0" in value:
            raise InvalidParameter(name, f"has at most {MAX_FILTER} characters and no NUL")


def _search(database: Database, filters: Filters, limit: int, place: Place | None) -> bytes:
    """The page's bytes; in a thread, since a thousand records of a thousand rows are many megabytes."""
    with database.reading() as session:
        records, following = search(session, filters, limit=limit, after=place, max_characters=MAX_PAGE_CHARACTERS)
    return orjson.dumps({"records": [_shown(each) for each in records], "next": following and _cursor(*following)})


def _find(database: Database, request_id: str, tenant_id: str) -> bytes | None:
    with database.reading() as session:
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


def _cursor(at: datetime, request_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {request_id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        at, request_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        instant = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        raise InvalidParameter("after", "must be a `next` of an earlier page") from None
    if instant.tzinfo is None or not is_request_id(request_id):
        raise InvalidParameter("after", "must be a `next` of an earlier page")
    return _in_utc(instant, "after"), request_id


def _in_utc(instant: Any, name: str) -> Any:
    """The same instant in UTC; there is none for the first and last hours of the calendar elsewhere."""
    try:
        return instant and instant.astimezone(UTC)
    except OverflowError:
        raise InvalidParameter(name, "must lie within the years 1 to 9999 in UTC") from None
