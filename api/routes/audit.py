"""Routes to the prediction log: auditors read all of it, a tenant its own records."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from admin.readings import note_lookup, note_search
from api.dependencies import known_caller
from api.http.body import hung_up, look_again, skip_body
from api.http.direct_route import JsonBytes
from api.http.refusals import RecordNotFound
from api.http.security import call_of, parts_of
from api.lists import check_query
from audit.filters import Wanted, read_filters
from audit.search import one_record, position_of, search_page
from auth.principal import Principal, Role, Scope
from db.database import Database
from db.prediction_log import Position
from db.stopping import Stop
from quotas.allowances import READINGS, SEARCHES
from serving.giving_up import unless_gone
from serving.problems import PROBLEMS
from values.ids import is_uuid7

router = APIRouter(tags=["audit"])

Searcher = Annotated[Principal, known_caller(Scope.AUDIT_READ_OWN, Role.AUDITOR, allowance=SEARCHES, takes_place=True)]
Reader = Annotated[Principal, known_caller(Scope.AUDIT_READ_OWN, Role.AUDITOR, allowance=READINGS, takes_place=True)]

_INSTANT = "RFC 3339, a date, or an age such as `2h`"


async def _wanted(
    request: Request,
    tenant: str | None = None,
    key: Annotated[str | None, Query(description="a key's id")] = None,
    model: str | None = None,
    version: str | None = None,
    outcome: Annotated[
        str | None,
        Query(description="`answered`, `failed`, `withdrawn`, `refused` for every refusal, or `refused:PROBLEM`"),
    ] = None,
    status: Annotated[str | None, Query(description="an HTTP status")] = None,
    request_id: str | None = None,
    fingerprint: Annotated[str | None, Query(description="of a single row, 64 of 0-9 and a-f")] = None,
    from_at: Annotated[str | None, Query(alias="from", description=f"inclusive: {_INSTANT}")] = None,
    to_at: Annotated[str | None, Query(alias="to", description=f"exclusive: {_INSTANT}")] = None,
    min_latency_ms: str | None = None,
) -> Wanted:
    check_query(request)
    return read_filters(request.query_params, PROBLEMS)


@router.get("/audit/predictions", summary="Search the prediction log")
async def search_predictions(
    request: Request,
    caller: Searcher,
    wanted: Annotated[Wanted, Depends(_wanted)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> Response:
    """The records that you may see, newest first, in pages: `next` is the `after` of the following page."""
    start = None if after is None else position_of(after)
    await skip_body(request)
    return JsonBytes(await unless_gone(hung_up(request), _page(request, caller, wanted, limit, start)))


@router.get("/audit/predictions/{request_id}", summary="One record of the prediction log")
async def find_prediction(request: Request, request_id: str, caller: Reader) -> Response:
    """The record of a request, by the id that its answer carried."""
    if not is_uuid7(request_id):
        raise RecordNotFound
    await skip_body(request)
    found = await unless_gone(hung_up(request), _record(request, caller, request_id))
    if found is None:
        raise RecordNotFound
    return JsonBytes(found)


async def _page(request: Request, caller: Principal, wanted: Wanted, limit: int, after: Position | None) -> bytes:
    parts = parts_of(request)
    async with parts.searches.turn(caller.subject, caller.reach, _seconds_left(request)) as turn:
        # The caller may have lost its rights while it waited for its turn.
        await look_again(request)
        await parts.log.flush()
        return await turn.run(partial(_search, parts.database, caller, wanted, limit, after))


async def _record(request: Request, caller: Principal, request_id: str) -> bytes | None:
    parts = parts_of(request)
    async with parts.searches.turn(caller.subject, caller.reach, _seconds_left(request)) as turn:
        # The caller may have lost its rights while it waited for its turn.
        await look_again(request)
        await parts.log.flush()
        return await turn.run(partial(_find, parts.database, caller, request_id))


def _search(
    database: Database, caller: Principal, wanted: Wanted, limit: int, after: Position | None, stop: Stop
) -> bytes:
    filters = note_search(database, caller, wanted)
    return search_page(database, filters, limit=limit, after=after, stop=stop)


def _find(database: Database, caller: Principal, request_id: str, stop: Stop) -> bytes | None:
    note_lookup(database, caller, request_id)
    return one_record(database, request_id, tenant_id=caller.reach, stop=stop)


def _seconds_left(request: Request) -> float:
    return parts_of(request).settings.request_timeout_seconds - call_of(request).latency_us() / 1e6
