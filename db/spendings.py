"""Queries on what was charged within a span of time: from the records themselves, and from the sums of whole hours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, String, bindparam, column, text
from sqlalchemy.orm import Session

from db.log_hours import CHARGED, begun_at
from db.tables import Id, Instant
from values.instants import instant

#: With more tenants than this, those of all are read: on SQLite each would take a parameter.
TENANTS_NAMED = 500


class Span(NamedTuple):
    """Requests that began from `start_ms` on and before `end_ms`, in milliseconds since 1970.

    A span of whole hours is read from their sums; its requests lasted at most `lingers_ms`. Otherwise `ended_ms` leaves
    out requests that ended earlier.
    """

    start_ms: int
    end_ms: int
    is_of_hours: bool = False
    lingers_ms: int = 0
    ended_ms: int | None = None


class Group(NamedTuple):
    """The columns that sums are kept apart by, beside the tenant."""

    by_key: bool
    by_model: bool


class Spent(NamedTuple):
    """What was charged within a span. `key_id` and `model_id` are None where they are not kept apart, or not known.

    `lasted_ms` is how long the slowest of the requests took.
    """

    tenant_id: str
    key_id: str | None
    model_id: str | None
    requests: int
    rows: int
    lasted_ms: int


def spent_by_records(session: Session, span: Span, group: Group, tenants: Collection[str]) -> Iterator[Spent]:
    """Yields what was charged for the span's requests, from their records."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    # A joined refusal stands for others that began up to a second later.
    lasted = "latency_us + CASE WHEN count > 1 THEN 1000000 ELSE 0 END"
    charged = ", ".join(f"{value} AS {name}" for name, value in CHARGED.items())
    wanted = f"SELECT {', '.join(_columns(group))}, {charged}, {lasted} AS lasted_us FROM prediction_records"  # noqa: S608  our own words
    others = _of_tenants(tenants) + ("" if span.ended_ms is None else f" AND {_has_ended_late(lasted, is_sqlite)}")
    # A withdrawal has its request's id, which tells when the request began.
    records = (
        f"{wanted} WHERE outcome <> 'withdrawn' AND at >= :start AND at < :end{others}"
        f" UNION ALL {wanted} WHERE outcome = 'withdrawn' AND request_id >= :first AND request_id < :last{others}"
    )
    values: dict[str, Any] = {"first": _first_id(span.start_ms), "last": _first_id(span.end_ms)}
    types: dict[str, Any] = dict.fromkeys(values, Id)
    if span.ended_ms is not None:
        values["ended"], types["ended"] = instant(span.ended_ms), Instant
    yield from _grouped(session, _Source(records, "max(lasted_us)", values, types), span, group, tenants)


def spent_by_hours(session: Session, span: Span, group: Group, tenants: Collection[str]) -> Iterator[Spent]:
    """Yields what was charged for the requests of the span's hours, from the sums of these."""
    wanted = ", ".join([*_columns(group), *CHARGED])
    hours = f"SELECT {wanted} FROM log_hours WHERE hour >= :start AND hour < :end{_of_tenants(tenants)}"  # noqa: S608  our own words
    yield from _grouped(session, _Source(hours, str(span.lingers_ms * 1000), {}, {}), span, group, tenants)


class _Source(NamedTuple):
    """A query of what was charged, how long that lasted, and the query's parameters with their types."""

    query: str
    lasted: str
    values: dict[str, Any]
    types: dict[str, Any]


def _grouped(session: Session, source: _Source, span: Span, group: Group, tenants: Collection[str]) -> Iterator[Spent]:
    columns = _columns(group)
    names = ", ".join(columns)
    query = (
        f"SELECT {names}, CAST(sum(charged_requests) AS bigint), CAST(sum(charged_rows) AS bigint), {source.lasted}"  # noqa: S608  our own words
        f" FROM ({source.query}) AS charged GROUP BY {names} HAVING sum(charged_requests) > 0 OR sum(charged_rows) > 0"
    )
    values = {"start": instant(span.start_ms), "end": instant(span.end_ms)} | source.values
    types = {"start": Instant, "end": Instant} | source.types
    parameters = [bindparam(name, type_=kind) for name, kind in types.items()]
    if len(tenants) <= TENANTS_NAMED:
        parameters.append(bindparam("tenants", type_=Id, expanding=True))
        values["tenants"] = list(tenants)
    found = [column(name, String if name == "key_id" else Id) for name in columns]
    sums = [column(name, BigInteger) for name in ("requests", "rows", "lasted_us")]
    typed = text(query).bindparams(*parameters).columns(*found, *sums)
    for row in session.execute(typed, values, execution_options={"yield_per": 1000}):
        ids = dict(zip(columns, row, strict=False))
        yield Spent(
            tenant_id=row[0],
            key_id=ids.get("key_id"),
            model_id=ids.get("model_id"),
            requests=row[-3],
            rows=row[-2],
            lasted_ms=-(-int(row[-1]) // 1000),
        )


def _columns(group: Group) -> list[str]:
    return ["tenant_id", *(["key_id"] if group.by_key else []), *(["model_id"] if group.by_model else [])]


def _of_tenants(tenants: Collection[str]) -> str:
    return " AND tenant_id IN :tenants" if len(tenants) <= TENANTS_NAMED else ""


def _has_ended_late(lasted: str, is_sqlite: bool) -> str:
    """Whether a record's request ended at `:ended` or later, in SQL."""
    begun = begun_at(is_sqlite=is_sqlite)
    if is_sqlite:
        # Julian days, as floating point numbers, are right to a tenth of a millisecond.
        return f"{lasted} >= (julianday(:ended) - julianday({begun})) * 86400000000 - 1000"
    return f"{begun} + ({lasted}) * interval '1 microsecond' >= :ended"


def _first_id(at_ms: int) -> str:
    """The smallest UUID of those whose first 48 bits are this millisecond (RFC 9562, section 5.7)."""
    digits = f"{at_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
