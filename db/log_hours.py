"""The log's sums by hour: how records are counted into them, and how they are read.

A request counts in the hour in which it began; so does its withdrawal, which is written later. Each record is counted
once: a chain's batches are added together with the number of the last of them, in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, and_, bindparam, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from db.reach import Reach, within
from db.tables import LATENCIES, LOG_HOURS, Batch, Chain, Id

#: The upper ends of the spans of latencies, in µs: the E6 series from 0.22 ms to 33 s. The last span has no end.
BOUNDS_US = (
    *(220, 330, 470, 680),
    *(round(10**decade * step) for decade in range(3, 7) for step in (1, 1.5, 2.2, 3.3, 4.7, 6.8)),
    *(10_000_000, 15_000_000, 22_000_000, 33_000_000),
)
NIL = "00000000-0000-0000-0000-000000000000"
#: A piece is read in one query: on SQLite about as long as no checkpoint can start the write-ahead log again.
PIECE_RECORDS = 20_000

_GROUP = ("hour", "tenant_id", "key_id", "model_id", "version_id", "outcome")
_COUNTS = ("requests", "rows", "charged_requests", "charged_rows")
_ADD = (
    f"INSERT INTO log_hours ({', '.join([*_GROUP, *_COUNTS, *LATENCIES])})"  # noqa: S608  our own names
    f" VALUES ({', '.join('?' * len(LOG_HOURS.c))}) ON CONFLICT ({', '.join(_GROUP)}) DO UPDATE SET "
    + ", ".join(f"{name} = log_hours.{name} + excluded.{name}" for name in (*_COUNTS, *LATENCIES))
)


class Piece(NamedTuple):
    """Batches of a chain that are counted together: those after `after`, up to `up_to`, with `size` records."""

    chain_id: str
    after: int
    up_to: int
    size: int


def chains_behind(session: Session, *, own: str | None = None, silent_since: datetime | None = None) -> list[str]:
    """Returns the chains that have batches which are not counted yet.

    With `silent_since`, only the chain `own` and those whose writers gave no sign of life since.
    """
    following = and_(Batch.chain_id == Chain.id, Batch.number == Chain.summed_up_to + 1)
    query = select(Chain.id).where(exists(select(Batch.number).where(following)))
    if silent_since is not None:
        query = query.where(or_(Chain.id == own, Chain.seen_at < silent_since))
    return list(session.scalars(query))


def next_piece(session: Session, chain_id: str) -> Piece | None:
    """Returns the chain's next batches to be counted, at most `PIECE_RECORDS` records if it is more than one batch."""
    after = session.scalar(select(Chain.summed_up_to).where(Chain.id == chain_id)) or 0
    query = select(Batch.number, Batch.size).where(Batch.chain_id == chain_id, Batch.number > after)
    up_to, size = after, 0
    for number, records in session.execute(query.order_by(Batch.number).limit(PIECE_RECORDS)):
        if size and size + records > PIECE_RECORDS:
            break
        up_to, size = number, size + records
    return None if up_to == after else Piece(chain_id, after, up_to, size)


def sums_of(session: Session, piece: Piece) -> Sequence[Row[Any]]:
    """Returns the sums over a piece's records, as `add_sums` takes them."""
    of_piece = "chain_id = :chain_id AND batch_number > :after AND batch_number <= :up_to"
    query = text(_sums(of_piece, is_sqlite=_is_sqlite(session))).bindparams(bindparam("chain_id", type_=Id))
    return session.execute(query, piece._asdict()).all()


def add_sums(session: Session, piece: Piece, sums: Sequence[Row[Any]]) -> bool:
    """Adds a piece's sums; returns False, and adds nothing, if somebody else has counted these batches meanwhile."""
    at_piece = and_(Chain.id == piece.chain_id, Chain.summed_up_to == piece.after)
    connection = session.connection()
    moved = connection.execute(update(Chain).where(at_piece).values(summed_up_to=piece.up_to))
    if moved.rowcount != 1:
        return False
    if sums:
        # In the order of the key: two processes that lock the same hours do not wait for each other.
        rows = sorted((tuple(row) for row in sums), key=itemgetter(slice(len(_GROUP))))
        connection.exec_driver_sql(_ADD.replace("?", "?" if _is_sqlite(session) else "%s"), rows)
    return True


def sums_between(
    session: Session, by: Sequence[str], start: datetime, end: datetime, *, tenant_id: Reach
) -> Sequence[Row[Any]]:
    """Returns the sums of the hours from `start` on and before `end`, for each value of the columns `by`.

    A row holds these columns, `requests`, `rows`, `charged_requests`, `charged_rows`, and `LATENCIES`. The records of
    the last few seconds may be missing: `sum_up` (audit/hours.py) counts them.
    """
    columns = [LOG_HOURS.c[name] for name in by]
    sums = [func.sum(LOG_HOURS.c[name], type_=BigInteger).label(name) for name in (*_COUNTS, *LATENCIES)]
    hours = and_(LOG_HOURS.c.hour >= start, LOG_HOURS.c.hour < end, within(LOG_HOURS.c.tenant_id, tenant_id))
    return session.execute(select(*columns, *sums).where(hours).group_by(*columns).order_by(*columns)).all()


def begun_at(*, is_sqlite: bool) -> str:
    """The instant at which a record's request began, in SQL: a withdrawal has its request's id, which tells it."""
    if is_sqlite:
        ms = " + ".join(
            f"(instr('0123456789abcdef', substr(request_id, {digit}, 1)) - 1) * {16 ** (12 - digit)}"
            for digit in range(1, 13)
        )
        of_id = f"strftime('%Y-%m-%d %H:%M:%f', ({ms}) / 1000.0, 'unixepoch')"
        return f"CASE outcome WHEN 'withdrawn' THEN {of_id} ELSE at END"
    ms = "('x' || left(replace(request_id::text, '-', ''), 12))::bit(48)::bigint"
    return f"CASE outcome WHEN 'withdrawn' THEN to_timestamp({ms} / 1000.0) ELSE at END"


#: What was charged, in SQL. Records of form 1 do not say it: they count for what they may have been charged.
CHARGED = {
    "charged_requests": (
        "coalesce(charged_requests, CASE WHEN outcome IN ('withdrawn', 'refused:too-many-at-once')"
        " OR (outcome = 'refused:quota-exceeded' AND rows = 0) THEN 0 ELSE count END)"
    ),
    "charged_rows": (
        "coalesce(charged_rows, CASE WHEN outcome IN"
        " ('withdrawn', 'refused:quota-exceeded', 'refused:exceeds-quota') THEN 0 ELSE rows * count END)"
    ),
}


def _sums(condition: str, *, is_sqlite: bool) -> str:
    """The sums over the records for which the condition holds, in SQL."""
    begun = begun_at(is_sqlite=is_sqlite)
    hour = f"substr({begun}, 1, 13) || ':00:00.000000'" if is_sqlite else f"date_trunc('hour', {begun}, 'UTC')"
    nil = f"'{NIL.replace('-', '')}'" if is_sqlite else f"'{NIL}'::uuid"
    records = (
        f"SELECT {hour} AS hour, tenant_id, coalesce(key_id, '') AS key_id, coalesce(model_id, {nil}) AS model_id,"  # noqa: S608  our own words
        f" coalesce(version_id, {nil}) AS version_id, outcome, {_span(0, len(BOUNDS_US))} AS span, count AS requests,"
        f" rows, {', '.join(f'{value} AS {name}' for name, value in CHARGED.items())}"
        f" FROM prediction_records WHERE {condition}"
    )
    group = ", ".join(_GROUP)
    # First by span, and then the spans side by side: thirty-three sums for each record would cost three times as much.
    spans = f"SELECT {group}, span, {_summed(_COUNTS)} FROM ({records}) AS records GROUP BY {group}, span"  # noqa: S608  our own words
    beside = ", ".join(
        f"CAST(sum(CASE span WHEN {place} THEN requests ELSE 0 END) AS bigint) AS {name}"
        for place, name in enumerate(LATENCIES)
    )
    return f"SELECT {group}, {_summed(_COUNTS)}, {beside} FROM ({spans}) AS spans GROUP BY {group}"  # noqa: S608  our own words


def _summed(names: Sequence[str]) -> str:
    return ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in names)


def _span(low: int, high: int) -> str:
    """The number of the span of a record's latency, in SQL, found by halves."""
    if low == high:
        return str(low)
    middle = (low + high) // 2
    return f"CASE WHEN latency_us <= {BOUNDS_US[middle]} THEN {_span(low, middle)} ELSE {_span(middle + 1, high)} END"


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
