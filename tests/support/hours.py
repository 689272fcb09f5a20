"""The sums of the log's hours, as they stand in the database, and as a recount of the records finds them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from sqlalchemy import select

from db.log_hours import BOUNDS_US, NIL
from db.reach import EVERY_TENANT
from db.tables import LATENCIES, LOG_HOURS, PredictionRecord
from values.ids import instant_of


def stored_hours(database) -> dict:
    """Requests, rows, charges and latencies, by the columns of the key."""
    with database.reading(EVERY_TENANT) as session:
        return {tuple(row[:6]): list(row[6:]) for row in session.execute(select(LOG_HOURS))}


def recounted_hours(database) -> dict:
    """The same, from the records alone, one by one."""
    found = defaultdict(lambda: [0] * (4 + len(LATENCIES)))
    with database.reading(EVERY_TENANT) as session:
        for each in session.scalars(select(PredictionRecord)):
            hour = instant_of(each.request_id).replace(minute=0, second=0, microsecond=0)
            ids = (each.key_id or "", each.model_id or NIL, each.version_id or NIL)
            sums = found[(hour, each.tenant_id, *ids, each.outcome)]
            span = 4 + bisect_left(BOUNDS_US, each.latency_us)
            for place, value in (0, each.count), (1, each.rows), (2, each.charged_requests), (3, each.charged_rows):
                sums[place] += value
            sums[span] += each.count
    return dict(found)
