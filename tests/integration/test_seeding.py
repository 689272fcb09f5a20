"""A store that is told what was spent admits no more than one that has lived through it, and hardly less."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import migrations
from audit.chain import next_batch
from audit.record import ANSWERED, REFUSED, Record, seal, withdrawal_of
from db.database import Database
from db.log_store import COLUMNS, LogStore
from db.policies import Policy
from db.reach import EVERY_TENANT
from db.tables import Model
from program.seeding import Bound, seed, spendings
from quotas.calendar import bounds_at
from quotas.store import Calendar, Trailing
from quotas.strategy import memory_store
from values.ids import uuid7
from values.instants import instant, ms_of

NS_PER_MS = 1_000_000
#: Half past ten, so that an hour runs; late in a month.
NOW_MS = ms_of(datetime(2026, 11, 27, 10, 30, 0, 250_000, tzinfo=UTC))
TENANTS, KEYS = [str(uuid4()), str(uuid4())], ["key-one", "key-two"]
MODELS = {str(uuid4()): "iris", str(uuid4()): "wine"}
MUCH = 10**6

POLICIES = [
    *(("tenant", unit, seconds, None, None) for unit in ("requests", "rows") for seconds in (1, 60, 3_600, 86_400)),
    ("plan", "rows", 2_592_000, None, None), ("key", "requests", 60, None, None), ("key", "rows", 86_400, None, None),
    ("key", "requests", 300, None, "iris"), ("tenant", "rows", 86_400, None, "wine"),
    ("tenant", "requests", None, "day", None), ("plan", "requests", None, "month", None),
]  # fmt: skip
ZONES = {TENANTS[0]: "Asia/Kolkata", TENANTS[1]: "America/Los_Angeles"}


def bound() -> list[Bound]:
    """Every policy, on each tenant, or on each key of each tenant."""
    found = []
    for level, unit, seconds, calendar, model in POLICIES:
        policy = Policy(level, unit, MUCH, seconds, calendar, model)
        for tenant_id, key in zip(TENANTS, KEYS, strict=True):
            found.append(Bound(policy, tenant_id, key if level == "key" else None, ZONES[tenant_id]))
    return found


@dataclass(frozen=True)
class Event:
    """A request that began `age_ms` ago; it was charged `lasted_ms` later, and what then became of it."""

    age_ms: int
    lasted_ms: int
    whose: int
    model: str | None
    rows: int
    count: int
    fate: str


EVENTS = st.builds(
    Event,
    age_ms=st.one_of(
        st.integers(0, 2_000),
        st.integers(0, 90_000),
        st.integers(0, 5_000_000),
        st.integers(0, 100_000_000),
        st.integers(0, 3_000_000_000),
        st.sampled_from([1_000, 60_000, 3_600_000, 86_400_000, 37_800_250, 30 * 60_000 + 250]),
    ),
    lasted_ms=st.one_of(st.integers(0, 50), st.integers(0, 30_000)),
    whose=st.integers(0, 1),
    model=st.sampled_from([*MODELS, None]),
    rows=st.integers(1, 100),
    count=st.integers(1, 4),
    fate=st.sampled_from(["answered", "answered", "refused", "free", "withdrawn", "hung up"]),
)


def records_of(event: Event) -> list[Record]:
    at_ms = NOW_MS - event.age_ms
    tenant_id, key_id = TENANTS[event.whose], KEYS[event.whose]
    record = Record(uuid7(at_ms), at_ms, tenant_id, f"key:{key_id}", key_id, "/predict", ANSWERED, 200, 0.0,
                    model_id=event.model, rows=event.rows, latency_us=min(event.lasted_ms, event.age_ms) * 1000,
                    charged_requests=1, charged_rows=event.rows)  # fmt: skip
    if event.fate in ("withdrawn", "hung up"):
        record.gives_back = event.fate == "withdrawn"
        withdrawal = withdrawal_of(record)
        withdrawal.at_ms = min(NOW_MS, at_ms + 7_200_000) + 1
        return [record, withdrawal]
    if event.fate != "answered":
        record.outcome, record.count = REFUSED + "quota-exceeded", event.count
        record.charged_requests = 0 if event.fate == "free" else event.count
        record.charged_rows = 0
    return [record]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    """A log to be filled, with two models."""
    url = f"sqlite:///{tmp_path_factory.mktemp('seeding')}/log.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    database = Database(url)
    migrations.upgrade(database)
    with database.transaction(EVERY_TENANT) as session:
        for model_id, name in MODELS.items():
            session.add(Model(id=model_id, name=name, description="", is_public=True, created_at=instant(0)))
    yield database
    database.dispose()


def write(database, records) -> None:
    """The records as the log's only ones."""
    with database.transaction(EVERY_TENANT) as session:
        for table in ("prediction_records", "log_hours", "batches", "chains"):
            session.execute(text(f"DELETE FROM {table}"))
    store, chain_id = LogStore(database), uuid7()
    store.start_chain(chain_id, instant(NOW_MS))
    batch = next_batch(1, "00" * 32, ["00" * 32] * len(records), NOW_MS)
    rows = []
    for index, record in enumerate(records):
        sealed = seal(record)
        at = f"{instant(record.at_ms):%Y-%m-%d %H:%M:%S.%f}"
        place = {"at": at, "chain_id": chain_id, "batch_number": 1, "leaf_index": index}
        known = {name: getattr(sealed, name, None) for name in COLUMNS} | place
        rows.append([known[name] if known[name] is not None else getattr(record, name, None) for name in COLUMNS])
    store.append(rows, (chain_id, 1, f"{instant(NOW_MS):%Y-%m-%d %H:%M:%S.%f}", batch.size, batch.root, batch.head))
    store.close()
    store.end_checkpoints()


class Clocks:
    """The time of a store: it begins long before the first event."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now(self) -> int:
        return self.ms * NS_PER_MS


async def lived_through(events, clocks):
    """A store to which each event happened when it happened."""
    store = memory_store(clock=clocks.now, wall_clock=clocks.now)
    meters = bound()
    charges = []
    for event in events:
        if event.fate in ("free", "withdrawn"):
            continue
        count = event.count if event.fate == "refused" else 1
        for each in meters:
            policy = each.policy
            is_own = (
                each.key_id == KEYS[event.whose] if policy.level == "key" else each.tenant_id == TENANTS[event.whose]
            )
            is_model = policy.model is None or (event.model is not None and MODELS[event.model] == policy.model)
            cost = (0 if event.fate == "refused" else event.rows) if policy.unit == "rows" else count
            if is_own and is_model and cost:
                charged_ms = NOW_MS - event.age_ms + min(event.lasted_ms, event.age_ms)
                # A request that began before midnight counts for the day in which it began.
                began = NOW_MS - event.age_ms if policy.calendar else charged_ms
                charges.append((each.meter(), began, cost))
    for meter, clocks.ms, cost in sorted(charges):
        await store.charge([meter], cost)
    clocks.ms = NOW_MS
    return store


@settings(max_examples=20)
@given(st.lists(EVENTS, max_size=25), st.integers(0, 100_000))
def test_a_seeded_store_never_admits_more_than_one_that_lived_through_it(database, events, later_ms):
    """Neither now nor later, whatever was refused, withdrawn or slow."""
    write(database, [record for event in events for record in records_of(event)])

    async def compare():
        clocks = Clocks()
        lived = await lived_through(sorted(events, key=lambda event: -event.age_ms), clocks)
        seeded = memory_store(clock=clocks.now, wall_clock=clocks.now)
        await seed(seeded, spendings(database, bound(), NOW_MS))
        meters = [each.meter() for each in bound()]
        for clocks.ms in (NOW_MS, NOW_MS + later_ms, NOW_MS + 4_000_000):
            have, know = await lived.states(meters), await seeded.states(meters)
            for meter, one, other in zip(meters, have, know, strict=True):
                assert other.left <= one.left, (meter, clocks.ms - NOW_MS)

    asyncio.run(compare())


@settings(max_examples=10)
@given(st.lists(EVENTS, max_size=25))
def test_a_seeded_store_forgets_in_time(database, events):
    """Spending of a window comes back a slice late, or an hour and a slice where hours are read."""
    write(database, [record for event in events for record in records_of(event)])

    async def compare():
        clocks = Clocks()
        store = memory_store(clock=clocks.now, wall_clock=clocks.now)
        await seed(store, spendings(database, bound(), NOW_MS))
        for each in bound():
            meter = each.meter()
            if not isinstance(meter.window, Trailing):
                continue
            window_ms = meter.window.seconds * 1000
            slice_ms = (
                window_ms // 64 if window_ms <= 3_600_000 else max(window_ms // 64 + 3_600_000, 7_200_000) + 60_000
            )
            young = [e for e in events if TENANTS[e.whose] == each.tenant_id and e.fate not in ("free", "withdrawn")
                     and e.age_ms - e.lasted_ms <= window_ms + 2 * slice_ms + 31_000]  # fmt: skip
            ((left, _),) = await store.states([meter])
            assert young or left == MUCH, meter

    asyncio.run(compare())


def test_calendar_periods_begin_where_the_tenant_is(database):
    """A request of the tenant's yesterday is free again today; in a zone of half hours, at most half an hour late."""
    start_ms = bounds_at(Calendar("day", "America/Los_Angeles"), NOW_MS // 1000).start * 1000
    ages = [NOW_MS - start_ms - 1, NOW_MS - start_ms + 1]
    write(database, [record for age_ms in ages for record in records_of(Event(age_ms, 0, 1, None, 1, 1, "answered"))])
    day = Bound(Policy("tenant", "requests", 10, None, "day"), TENANTS[1], None, "America/Los_Angeles")
    assert [spending.cost for spending in spendings(database, [day], NOW_MS)] == [1]
