"""Searches of the prediction log: pages of records, one record, and how both are shown.

It knows no transport. Searches take turns fairly, and wait for a bounded time. A search whose time is up, or whose
caller hung up, is stopped in the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import RowMapping

from audit.filters import InvalidFilter
from db.database import Database
from db.prediction_log import Filters, Position, find_record, search
from db.reach import Reach
from db.stopping import Stop, Stopped
from db.tables import PredictionRecord
from values import base64url
from values.ids import is_uuid7
from values.turns import Turns

#: So many searches run at once; the others wait, and nothing waits for them.
SEARCHES_AT_ONCE = 4
SEARCHES_OF_ONE = 2
#: A search gets what is left of its request's time, but no more than this.
MAX_SECONDS = 10.0
#: A page ends early rather than hold more than this of inputs and outputs.
MAX_PAGE_CHARACTERS = 8 << 20
_MAX_CURSOR = 120

T = TypeVar("T")


class SearchTooLong(Exception):
    """The search, including the wait for its turn, did not end in the time that it may take."""


class Turn:
    """One caller's turn at the log: its query runs in a thread, and stops if the turn is cancelled."""

    def __init__(self, threads: ThreadPoolExecutor, stop: Stop) -> None:
        self._threads = threads
        self._stop = stop
        self.job: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[Stop], T]) -> T:
        """Does the work in a thread and returns its result. The work must heed the stop that it is given."""
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._threads, work, self._stop)
        self.job = job
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._stop.call()
            # Not in the searches' own threads: all of them may be busy with queries that are to be stopped.
            loop.run_in_executor(None, self._stop.tell_server)
            raise


class Searches:
    """Everybody's turns at the log: at most two at once for a tenant, or for a person of no tenant."""

    def __init__(self) -> None:
        self._turns = Turns(SEARCHES_AT_ONCE, SEARCHES_OF_ONE)
        self._threads = ThreadPoolExecutor(SEARCHES_AT_ONCE, "log-search")

    @asynccontextmanager
    async def turn(self, subject: str, reach: Reach, seconds: float) -> AsyncIterator[Turn]:
        """The caller's turn, once it comes; it ends after `seconds`, the waiting included. Raises `SearchTooLong`."""
        seconds = min(seconds, MAX_SECONDS)
        whose = reach if isinstance(reach, str) else subject
        turn = Turn(self._threads, Stop(seconds))
        try:
            async with asyncio.timeout(seconds) as timer:
                await self._turns.take(whose)
                try:
                    yield turn
                finally:
                    self._end(turn, whose)
        except Stopped:
            raise SearchTooLong from None
        except TimeoutError:
            if not timer.expired():
                raise
            raise SearchTooLong from None

    def close(self) -> None:
        """Takes no more searches; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _end(self, turn: Turn, whose: str) -> None:
        """Gives the turn back, once its thread is free: a query that is slow to stop must not make room for another."""
        if turn.job is None or turn.job.done():
            self._turns.give_back(whose)
        else:
            turn.job.add_done_callback(lambda job: self._end_late(job, whose))

    def _end_late(self, job: asyncio.Future[Any], whose: str) -> None:
        if not job.cancelled():
            # Nobody waits for the job any more; asyncio would complain of an error that nobody looked at.
            job.exception()
        self._turns.give_back(whose)


def search_page(
    database: Database, filters: Filters | None, *, limit: int, after: Position | None, stop: Stop
) -> bytes:
    """A page of records as JSON, newest first, with the cursor of the next page. Raises `Stopped`.

    `filters` is None where a filter names nothing: then the page is empty.
    """
    if filters is None:
        return orjson.dumps({"records": [], "next": None})
    with database.reading(filters.tenant_id, stop) as session:
        page = search(session, filters, limit=limit, after=after, max_characters=MAX_PAGE_CHARACTERS, stop=stop)
    shown = [shown_record(each) for each in page.records]
    return orjson.dumps({"records": shown, "next": page.next and cursor_of(page.next)})


def one_record(database: Database, request_id: str, *, tenant_id: Reach, stop: Stop) -> bytes | None:
    """The record of a request as JSON; None if the reach holds none. Raises `Stopped`."""
    with database.reading(tenant_id, stop) as session:
        found = find_record(session, request_id, tenant_id=tenant_id)
    return None if found is None else orjson.dumps(shown_record(found))


def shown_record(found: RowMapping) -> dict[str, Any]:
    """A record as readers see it."""
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
        "charged_requests": record.charged_requests,
        "charged_rows": record.charged_rows,
    }


def cursor_of(position: Position) -> str:
    """The cursor that stands for a position in the log, for callers."""
    return base64url.encoded(f"{position[0].isoformat()} {position[1]}".encode())


def position_of(cursor: str) -> Position:
    """The position that a cursor stands for. Raises `InvalidFilter`."""
    try:
        at, request_id = base64url.decoded(cursor[: _MAX_CURSOR + 1]).decode().split(" ")
        instant = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_cursor() from None
    position = instant, request_id
    if not is_uuid7(request_id) or cursor_of(position) != cursor:
        raise _no_cursor()
    return position


def _no_cursor() -> InvalidFilter:
    return InvalidFilter("after", "must be a `next` of an earlier page")
