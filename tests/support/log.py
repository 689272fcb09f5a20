"""The promise that the prediction log keeps, whatever a test did to it."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from audit.verification import faults
from db.reach import EVERY_TENANT
from db.tables import PredictionRecord

#: Every filter of a search.
FILTERS = (
    "tenant",
    "key",
    "model",
    "version",
    "outcome",
    "status",
    "request_id",
    "fingerprint",
    "from",
    "to",
    "min_latency_ms",
)


def assert_holds(database, answered) -> None:
    """Checks that the log has every answer of a client once, not withdrawn, and that the chain holds."""
    with database.reading(EVERY_TENANT) as session:
        found = session.execute(select(PredictionRecord.request_id, PredictionRecord.outcome)).all()
    records = Counter(request_id for request_id, outcome in found if outcome == "answered")
    withdrawn = {request_id for request_id, outcome in found if outcome == "withdrawn"}
    assert answered, "nothing was answered"
    assert len(set(answered)) == len(answered)
    missing = [request_id for request_id in answered if records[request_id] != 1]
    assert not missing, f"{len(missing)} of {len(answered)} answers are not in the log once"
    assert not withdrawn.intersection(answered)
    assert max(records.values()) == 1
    assert not list(faults(database))
