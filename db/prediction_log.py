"""Queries on the prediction log, for auditors and verifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, RowMapping, and_, func, select, tuple_, update
from sqlalchemy.orm import Session

from db.reach import Reach, within
from db.stopping import Stop
from db.tables import Batch, Chain, Model, PredictionRecord, Tenant, Version
from values.ids import instant_of

#: The columns of a record that can be erased; see audit/record.py.
ERASABLE = ("salt", "inputs", "outputs", "address", "client_request_id", "fingerprint")

#: A record's position in the order of the log: its instant and its request id.
Position = tuple[datetime, str]


class Page(NamedTuple):
    """Records, and the position after which the next page starts; None after the last record."""

    records: list[RowMapping]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Filters:
    """The records that are looked for; a filter that is None lets every record pass.

    `from_at` is inclusive, `to_at` exclusive. An `outcome` that ends with a colon stands for all that begin with it.
    """

    tenant_id: Reach
    key_id: str | None = None
    model_id: str | None = None
    version_ids: Sequence[str] | None = None
    outcome: str | None = None
    status: int | None = None
    request_id: str | None = None
    fingerprint: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    min_latency_us: int | None = None


def search(
    session: Session, filters: Filters, *, limit: int, after: Position | None, max_characters: int, stop: Stop
) -> Page:
    """Returns a page of records, newest first, that starts after the position `after`.

    It ends at `limit` records, or after the record with which inputs and outputs pass `max_characters`. Raises
    `Stopped`.
    """
    page: list[RowMapping] = []
    characters = 0
    for found in _newest_first(session, filters, after, limit + 1):
        stop.check()
        if len(page) == limit or characters > max_characters:
            last = page[-1][PredictionRecord]
            return Page(page, (last.at, last.request_id))
        record = found[PredictionRecord]
        characters += len(record.inputs or "") + len(record.outputs or "")
        page.append(found)
    return Page(page, None)


def find_record(session: Session, request_id: str, *, tenant_id: Reach) -> RowMapping | None:
    """Returns the record of that id within the reach, or its withdrawal if it was withdrawn."""
    return next(_newest_first(session, Filters(tenant_id=tenant_id, request_id=request_id), None, 1), None)


def is_in_log(session: Session, request_id: str, *, tenant_id: Reach) -> bool:
    """Whether a record of that id exists within the reach."""
    record = PredictionRecord
    query = select(record.request_id).where(within(record.tenant_id, tenant_id)).limit(1)
    return any(session.scalar(query.where(*conditions)) is not None for conditions in _ways_to(request_id))


def _newest_first(session: Session, filters: Filters, after: Position | None, limit: int) -> Iterator[RowMapping]:
    """Yields records by instant and id, newest first."""
    record = PredictionRecord
    conditions = _conditions(filters)
    if after is not None:
        conditions.append(tuple_(record.at, record.request_id) < after)
    query = _selection().order_by(record.at.desc(), record.request_id.desc()).limit(limit)
    # A withdrawal is written after its record. In one query with an OR, SQLite would use neither index.
    for way in _ways_to(filters.request_id):
        with session.execute(query.where(*conditions, *way).execution_options(yield_per=50)) as result:
            yield from result.mappings()


def _ways_to(request_id: str | None) -> list[list[ColumnElement[bool]]]:
    """Returns the conditions that find a request's records by an index, newest first; no condition without a request.

    One query for each.
    """
    if request_id is None:
        return [[]]
    record = PredictionRecord
    # A record's instant is the millisecond in its id, which finds its partition; a withdrawal is later.
    own = [record.at == instant_of(request_id), record.request_id == request_id]
    return [[record.outcome == "withdrawn", record.request_id == request_id], own]


def _selection() -> Any:
    return (
        select(PredictionRecord, Tenant.name.label("tenant"), Model.name.label("model"), Version.name.label("version"))
        .outerjoin(Tenant, Tenant.id == PredictionRecord.tenant_id)
        .outerjoin(Model, Model.id == PredictionRecord.model_id)
        .outerjoin(Version, Version.id == PredictionRecord.version_id)
    )


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    record = PredictionRecord
    wanted: dict[Any, Any] = {
        record.key_id: filters.key_id,
        record.model_id: filters.model_id,
        record.status: filters.status,
        record.fingerprint: filters.fingerprint,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    conditions.append(within(record.tenant_id, filters.tenant_id))
    if filters.version_ids is not None:
        conditions.append(record.version_id.in_(filters.version_ids))
    if filters.outcome is not None:
        is_prefix = filters.outcome.endswith(":")
        conditions.append(
            record.outcome.startswith(filters.outcome) if is_prefix else record.outcome == filters.outcome
        )
    if filters.from_at is not None:
        conditions.append(record.at >= filters.from_at)
    if filters.to_at is not None:
        conditions.append(record.at < filters.to_at)
    if filters.min_latency_us is not None:
        conditions.append(record.latency_us >= filters.min_latency_us)
    return conditions


def erase_contents(session: Session, *, tenant_id: str, since: datetime | None, limit: int) -> int:
    """Erases the values and salts of at most `limit` of a tenant's records; their seals still verify.

    Returns the number of records. `since` leaves out records that began before it.
    """
    record = PredictionRecord
    is_left = and_(record.tenant_id == tenant_id, record.salt.is_not(None))
    chosen = select(record.at, record.request_id).where(is_left, *([record.at >= since] if since else [])).limit(limit)
    erasure = update(record).where(tuple_(record.at, record.request_id).in_(chosen)).values(dict.fromkeys(ERASABLE))
    return session.connection().execute(erasure).rowcount


def chains(session: Session) -> list[Chain]:
    return list(session.scalars(select(Chain).order_by(Chain.started_at)))


def batches_of(session: Session, chain_id: str) -> list[Batch]:
    return list(session.scalars(select(Batch).where(Batch.chain_id == chain_id).order_by(Batch.number)))


def count_records(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(PredictionRecord)) or 0


def records_of_batch(session: Session, chain_id: str, number: int) -> list[PredictionRecord]:
    record = PredictionRecord
    query = select(record).where(record.chain_id == chain_id, record.batch_number == number)
    return list(session.scalars(query.order_by(record.leaf_index)))
