"""Queries on what was charged within a span of time: from the records themselves, and from the sums of whole hours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, String, bindparam, column, text
from sqlalchemy.orm import Session

from db.log_hours import CHARGED, begun_at
from db.tables import Id, Instant
from values.instants import instant

#: A span with more records, or more sums of hours, is read slice by slice: SQLite sorts in memory.
MOST_AT_ONCE = 20_000
#: With more tenants than this, those of all are read: on SQLite each would take a parameter.
TENANTS_NAMED = 500


class Span(NamedTuple):
    """Requests that began from `start_ms` on and before `end_ms`, in milliseconds since 1970, in slices of `step_ms`.

    A span of whole hours is read from their sums; its requests lasted at most `lingers_ms`. Otherwise `ended_ms` leaves
    out requests that ended earlier.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    is_of_hours: bool = False
    lingers_ms: int = 0
    ended_ms: int | None = None

    def slices(self) -> Iterator[Span]:
        """Yields each slice as a span of its own."""
        for start_ms in range(self.start_ms, self.end_ms, self.step_ms):
            yield self._replace(start_ms=start_ms, end_ms=min(start_ms + self.step_ms, self.end_ms))


class Group(NamedTuple):
    """The columns that sums are kept apart by, beside the tenant."""

    by_key: bool
    by_model: bool


class Spent(NamedTuple):
    """The charges within a slice. `key_id` and `model_id` are None where they are not kept apart, or not known.

    By `ended_ms`, milliseconds since 1970, all of these requests had ended.
    """

    tenant_id: str
    key_id: str | None
    model_id: str | None
    requests: int
    rows: int
    ended_ms: int


def is_large(session: Session, span: Span) -> bool:
    """Whether a span has so many records, or sums of hours, that it is to be read slice by slice."""
    table, instants = ("log_hours", "hour") if span.is_of_hours else ("prediction_records", "at")
    query = text(
        f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {instants} >= :start AND {instants} < :end"  # noqa: S608  our own words
        f" LIMIT {MOST_AT_ONCE + 1}) AS first"
    ).bindparams(*(bindparam(name, type_=Instant) for name in ("start", "end")))
    values = {"start": instant(span.start_ms), "end": instant(span.end_ms)}
    return (session.scalar(query, values) or 0) > MOST_AT_ONCE


def spent_within(session: Session, span: Span, group: Group, tenants: Collection[str]) -> Iterator[Spent]:
    """Yields what was charged for the span's requests: from their records, or from the sums of whole hours."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    source = _hours(span, group, tenants) if span.is_of_hours else _records(span, group, tenants, is_sqlite)
    columns = _columns(group)
    names = ", ".join(columns)
    slices = f"({_age_us(is_sqlite)}) / {span.step_ms * 1000}"
    query = (
        f"SELECT {names}, CAST(sum(charged_requests) AS bigint), CAST(sum(charged_rows) AS bigint), {source.lasted},"  # noqa: S608  our own words
        f" slice FROM (SELECT *, {slices} AS slice FROM ({source.query}) AS found) AS charged"
        f" GROUP BY {names}, slice HAVING sum(charged_requests) > 0 OR sum(charged_rows) > 0"
    )
    values = {"start": instant(span.start_ms), "end": instant(span.end_ms)} | source.values
    types = {"start": Instant, "end": Instant} | source.types
    parameters = [bindparam(name, type_=kind) for name, kind in types.items()]
    if len(tenants) <= TENANTS_NAMED:
        parameters.append(bindparam("tenants", type_=Id, expanding=True))
        values["tenants"] = list(tenants)
    found = [column(name, String if name == "key_id" else Id) for name in columns]
    sums = [column(name, BigInteger) for name in ("requests", "rows", "lasted_us", "slice")]
    typed = text(query).bindparams(*parameters).columns(*found, *sums)
    for row in session.execute(typed, values, execution_options={"yield_per": 1000}):
        ids = dict(zip(columns, row, strict=False))
        requests, rows, lasted_us, number = map(int, row[len(columns) :])
        # A slice may begin up to a millisecond early: where SQLite computes it, it rounds.
        end_ms = span.start_ms + (number + 1) * span.step_ms + 1
        model_id, key_id = ids.get("model_id"), ids.get("key_id")
        yield Spent(row[0], key_id, model_id, requests, rows, end_ms - (-lasted_us // 1000))


class _Source(NamedTuple):
    """A query of what was charged, and of how long that lasted; the query's parameters, with their types."""

    query: str
    lasted: str
    values: dict[str, Any]
    types: dict[str, Any]


def _records(span: Span, group: Group, tenants: Collection[str], is_sqlite: bool) -> _Source:
    # A joined refusal stands for others that began up to a second later.
    lasted = "latency_us + CASE WHEN count > 1 THEN 1000000 ELSE 0 END"
    charged = ", ".join(f"{value} AS {name}" for name, value in CHARGED.items())
    begun = begun_at(is_sqlite=is_sqlite)
    wanted = (
        f"SELECT {', '.join(_columns(group))}, {charged}, {lasted} AS lasted_us, {begun} AS begun"  # noqa: S608  our own words
        " FROM prediction_records"
    )
    others = _of_tenants(tenants) + (
        "" if span.ended_ms is None else f" AND {_has_ended_late(begun, lasted, is_sqlite)}"
    )
    # A withdrawal has its request's id, which tells when the request began.
    query = (
        f"{wanted} WHERE outcome <> 'withdrawn' AND at >= :start AND at < :end{others}"
        f" UNION ALL {wanted} WHERE outcome = 'withdrawn' AND request_id >= :first AND request_id < :last{others}"
    )
    values: dict[str, Any] = {"first": _first_id(span.start_ms), "last": _first_id(span.end_ms)}
    types: dict[str, Any] = dict.fromkeys(values, Id)
    if span.ended_ms is not None:
        values["ended"], types["ended"] = instant(span.ended_ms), Instant
    return _Source(query, "max(lasted_us)", values, types)


def _hours(span: Span, group: Group, tenants: Collection[str]) -> _Source:
    wanted = ", ".join([*_columns(group), *CHARGED])
    query = f"SELECT {wanted}, hour AS begun FROM log_hours WHERE hour >= :start AND hour < :end{_of_tenants(tenants)}"  # noqa: S608  our own words
    return _Source(query, str(span.lingers_ms * 1000), {}, {})


def _age_us(is_sqlite: bool) -> str:
    """The microseconds from the span's start to `begun`, in SQL."""
    if is_sqlite:
        return "CAST((julianday(begun) - julianday(:start)) * 86400000000 + 500 AS INTEGER)"
    return "CAST(extract(epoch FROM begun - :start) * 1000000 AS bigint)"


def _columns(group: Group) -> list[str]:
    return ["tenant_id", *(["key_id"] if group.by_key else []), *(["model_id"] if group.by_model else [])]


def _of_tenants(tenants: Collection[str]) -> str:
    return " AND tenant_id IN :tenants" if len(tenants) <= TENANTS_NAMED else ""


def _has_ended_late(begun: str, lasted: str, is_sqlite: bool) -> str:
    """Whether a record's request ended at `:ended` or later, in SQL."""
    if is_sqlite:
        # Julian days, as floating point numbers, are right to a tenth of a millisecond.
        return f"{lasted} >= (julianday(:ended) - julianday({begun})) * 86400000000 - 1000"
    return f"{begun} + ({lasted}) * interval '1 microsecond' >= :ended"


def _first_id(at_ms: int) -> str:
    """The smallest UUID of those whose first 48 bits are this millisecond (RFC 9562, section 5.7)."""
    digits = f"{at_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
