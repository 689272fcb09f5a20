"""The prediction log as auditors and verifiers read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from db.reach import Reach, within
from db.tables import Batch, Chain, Model, PredictionRecord, Tenant, Version
from values.ids import instant_of

#: What of a record can go; see audit/record.py.
ERASABLE = ("salt", "inputs", "outputs", "address", "client_request_id", "fingerprint")

Page = tuple[list[RowMapping], tuple[datetime, str] | None]


@dataclass(frozen=True, slots=True)
class Filters:
    """What an auditor looks for; what is None is not asked. Instants are inclusive at `from`, exclusive at `to`."""

    tenant_id: Reach
    key_id: str | None = None
    model: str | None = None
    version: str | None = None
    outcome: str | None = None
    status: int | None = None
    request_id: str | None = None
    fingerprint: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    min_latency_us: int | None = None


def search(
    session: Session, filters: Filters, *, limit: int, after: tuple[datetime, str] | None, max_characters: int
) -> Page:
    """A page of records, newest first, and the place after which the next one starts.

    It ends at `limit` records, or after the first with which inputs and outputs pass `max_characters`.
    """
    query = _selection().where(*_conditions(filters))
    if after is not None:
        query = query.where(tuple_(PredictionRecord.at, PredictionRecord.request_id) < after)
    query = query.order_by(PredictionRecord.at.desc(), PredictionRecord.request_id.desc()).limit(limit + 1)
    page: list[RowMapping] = []
    characters = 0
    with session.execute(query.execution_options(yield_per=50)) as result:
        for found in result.mappings():
            if len(page) == limit or characters > max_characters:
                last = page[-1][PredictionRecord]
                return page, (last.at, last.request_id)
            record = found[PredictionRecord]
            characters += len(record.inputs or "") + len(record.outputs or "")
            page.append(found)
    return page, None


def find_record(session: Session, request_id: str, *, tenant_id: Reach) -> RowMapping | None:
    """The record of that id, or its withdrawal where there is one; within the reach."""
    query = _selection().where(*_conditions(Filters(tenant_id=tenant_id, request_id=request_id)))
    return session.execute(query.order_by(PredictionRecord.at.desc()).limit(1)).mappings().first()


def _selection() -> Any:
    return (
        select(PredictionRecord, Tenant.name.label("tenant"), Model.name.label("model"), Version.name.label("version"))
        .outerjoin(Tenant, Tenant.id == PredictionRecord.tenant_id)
        .outerjoin(Model, Model.id == PredictionRecord.model_id)
        .outerjoin(Version, Version.id == PredictionRecord.version_id)
    )


def _conditions(filters: Filters) -> list[Any]:
    record = PredictionRecord
    wanted = {
        record.key_id: filters.key_id,
        Model.name: filters.model,
        Version.name: filters.version,
        record.outcome: filters.outcome,
        record.status: filters.status,
        record.fingerprint: filters.fingerprint,
    }
    conditions: list[Any] = [column == value for column, value in wanted.items() if value is not None]
    conditions.append(within(record.tenant_id, filters.tenant_id))
    if filters.request_id is not None:
        # A record's instant is the millisecond in its id, which leads to its partition; a withdrawal comes later.
        is_at = and_(record.at == instant_of(filters.request_id), record.request_id == filters.request_id)
        is_withdrawal = and_(record.outcome == "withdrawn", record.request_id == filters.request_id)
        conditions.append(or_(is_at, is_withdrawal))
    if filters.from_at is not None:
        conditions.append(record.at >= filters.from_at)
    if filters.to_at is not None:
        conditions.append(record.at < filters.to_at)
    if filters.min_latency_us is not None:
        conditions.append(record.latency_us >= filters.min_latency_us)
    return conditions


def erase_contents(session: Session, *, tenant_id: str, since: datetime | None, limit: int) -> int:
    """Erases what at most `limit` of a tenant's records say in values, with the salts; their seals still verify.

    Returns how many there were. `since` leaves out what began before.
    """
    record = PredictionRecord
    is_left = and_(record.tenant_id == tenant_id, record.salt.is_not(None))
    some = select(record.at, record.request_id).where(is_left, *([record.at >= since] if since else [])).limit(limit)
    chosen = tuple_(record.at, record.request_id).in_(some)
    erasure = update(record).where(chosen).values(dict.fromkeys(ERASABLE))
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
