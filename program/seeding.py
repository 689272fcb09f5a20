"""Reads from the log what was spent, for a store that has lost it or never knew it: a restart hands out nothing fresh.

Spending is read in slices of a window, a sixty-fourth of it each, and counts as of a slice's end: never too early, so
that it comes back late by at most a slice. Windows of up to an hour are read from the records. Longer ones are read
from the sums of whole hours, and an hour that straddles a window's start counts whole. What was charged for a model
that is not known counts for every model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from audit.hours import sum_up
from db.catalogue import model_names
from db.database import Database
from db.log_hours import NIL
from db.policies import Policy, policies_in_force
from db.reach import EVERY_TENANT, Reach
from db.spendings import Group, Span, Spent, is_large, spent_within
from quotas.accounts import meter_of
from quotas.calendar import bounds_at
from quotas.filling import Past
from quotas.store import Calendar, Meter, Spending, Store, Trailing
from values.instants import now_ms

SLICES = 64
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
#: Windows up to this are read from the records.
LONGEST_BY_RECORDS = 3_600
#: A request is charged at most so long after it began, unless requests may take longer.
LINGERS_SECONDS = 60.0
AT_ONCE = 10_000

logger = logging.getLogger("adyton.limits")


class Bound(NamedTuple):
    """A policy in force, and the tenant or key that it binds; `time_zone` is the tenant's."""

    policy: Policy
    tenant_id: str
    key_id: str | None
    time_zone: str

    def meter(self) -> Meter:
        return meter_of(self.policy, pool_id=self.tenant_id, account_id=self.key_id, time_zone=self.time_zone)


def bound_policies(database: Database, *, tenant_id: Reach) -> list[Bound]:
    """Every policy in force within the reach, once for each tenant or key that it binds."""
    with database.reading(tenant_id) as session:
        return [Bound(*each) for each in policies_in_force(session, tenant_id=tenant_id)]


def spendings(
    database: Database,
    bound: Iterable[Bound],
    at_ms: int,
    lingers_seconds: float = LINGERS_SECONDS,
    *,
    is_told: bool = False,
) -> Iterator[Spending]:
    """Yields what the log says was spent by `at_ms` on these policies; several for one meter add up.

    It blocks, and raises `DatabaseUnavailable`. `lingers_seconds` is how long a request may take. With `is_told` log
    lines tell how far the reading is.
    """
    by_window: dict[Trailing | Calendar, list[Bound]] = defaultdict(list)
    for each in bound:
        by_window[each.meter().window].append(each)
    if any(_is_long(window) for window in by_window):
        sum_up(database)
    with database.reading(EVERY_TENANT) as session:
        names = model_names(session)
    for number, (window, bounds) in enumerate(by_window.items(), start=1):
        reading = _Reading(bounds, names)
        if is_told:
            logger.info("reading from the log what was spent: window %d of %d", number, len(by_window))
        for span in _spans(window, at_ms, round(lingers_seconds * 1000)):
            yield from reading.of(database, span, at_ms)


def all_spendings(database: Database, lingers_seconds: float) -> Iterator[Spending]:
    """Yields what the log says was spent by now on every policy in force. It blocks; raises `DatabaseUnavailable`."""
    started, count = time.monotonic(), 0
    bound = bound_policies(database, tenant_id=EVERY_TENANT)
    for spending in spendings(database, bound, now_ms(), lingers_seconds, is_told=True):
        count += 1
        yield spending
    seconds = time.monotonic() - started
    logger.info("limits know what was spent before: %d policies, %d sums, %.1f s", len(bound), count, seconds)


def past_of(database: Database, lingers_seconds: float) -> Past:
    """The log as limits ask it that are new to their holder."""

    def read(policies: Sequence[Policy], *, tenant_id: str, key_id: str, time_zone: str) -> list[Spending]:
        bound = [Bound(each, tenant_id, key_id if each.level == "key" else None, time_zone) for each in policies]
        return list(spendings(database, bound, now_ms(), lingers_seconds))

    return read


async def seed(store: Store, found: Iterator[Spending]) -> None:
    """Counts in the store all that is found, which is read in threads. Raises `DatabaseUnavailable`."""
    while some := await asyncio.to_thread(lambda: list(islice(found, AT_ONCE))):
        await store.seed(some)


class _Reading:
    """The meters of one window, by the tenants and keys whose spending they count."""

    def __init__(self, bounds: Iterable[Bound], model_names: Mapping[str, str]) -> None:
        self._of_tenants: dict[str, list[tuple[Meter, Policy]]] = defaultdict(list)
        self._of_keys: dict[str, list[tuple[Meter, Policy]]] = defaultdict(list)
        self._model_names = model_names
        self._tenants: set[str] = set()
        by_model = False
        for each in bounds:
            self._tenants.add(each.tenant_id)
            by_model = by_model or each.policy.model is not None
            by_owner, owner = (
                (self._of_tenants, each.tenant_id) if each.key_id is None else (self._of_keys, each.key_id)
            )
            by_owner[owner].append((each.meter(), each.policy))
        self._group = Group(by_key=bool(self._of_keys), by_model=by_model)

    def of(self, database: Database, span: Span, at_ms: int) -> Iterator[Spending]:
        """Yields what was spent in the span, slice by slice, each as of its end."""
        with database.reading(EVERY_TENANT) as session:
            parts = span.slices() if is_large(session, span) else [span]
        for part in parts:
            with database.reading(EVERY_TENANT) as session:
                for spent in spent_within(session, part, self._group, self._tenants):
                    for meter, policy in self._meters(spent):
                        cost = spent.rows if policy.unit == "rows" else spent.requests
                        if cost > 0:
                            yield Spending(meter, cost, min(at_ms, spent.ended_ms))

    def _meters(self, spent: Spent) -> Iterator[tuple[Meter, Policy]]:
        model = None if spent.model_id in (None, NIL) else self._model_names.get(spent.model_id or "", "")
        for owner, meters in ((spent.tenant_id, self._of_tenants), (spent.key_id or "", self._of_keys)):
            for meter, policy in meters.get(owner, ()):
                if model is None or policy.model in (None, model):
                    yield meter, policy


def _is_long(window: Trailing | Calendar) -> bool:
    return isinstance(window, Calendar) or window.seconds > LONGEST_BY_RECORDS


def _spans(window: Trailing | Calendar, at_ms: int, lingers_ms: int) -> Iterator[Span]:
    """Yields the spans of a window to be read."""
    if isinstance(window, Calendar):
        # A request that began before midnight counts for the day in which it began.
        start_ms, lingers_ms = bounds_at(window, at_ms // 1000).start * 1000, 0
    else:
        start_ms = at_ms - window.seconds * 1000
    if _is_long(window):
        # Spending is younger than the beginning of its request.
        start_ms = (start_ms - lingers_ms) // HOUR_MS * HOUR_MS
        end_ms = at_ms // HOUR_MS * HOUR_MS + HOUR_MS
        step_ms = -(-(at_ms - start_ms) // SLICES // HOUR_MS) * HOUR_MS or HOUR_MS
        spans = [Span(start_ms, end_ms, step_ms, is_of_hours=True, lingers_ms=lingers_ms)]
    else:
        end_ms, step_ms = at_ms + 1, -(-(at_ms - start_ms) // SLICES)
        before = Span(start_ms - lingers_ms, start_ms, max(step_ms, lingers_ms // SLICES), ended_ms=start_ms)
        spans = [before, Span(start_ms, end_ms, step_ms)]
    # Requests that another clock dates in the future count as well.
    yield from [*spans, spans[-1]._replace(start_ms=end_ms, end_ms=end_ms + DAY_MS, step_ms=DAY_MS)]
