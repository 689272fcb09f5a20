"""Calendar limits and limits for one model, against clocks that the test owns; faults that others reported first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.limit_fields import limit_fields
from db.policies import Policy
from quotas.limiter import ExceedsQuota, QuotaExceeded, Quotas
from quotas.policies import parse_limit
from quotas.strategy import memory_store
from quotas.window import NS

pytestmark = pytest.mark.anyio

#: In 2017 and 2018 clocks skipped midnight in Sao Paulo and Asuncion, and showed it twice in Havana.
ZONES = [
    "UTC", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana",
    "America/Asuncion",
]  # fmt: skip
DAY = 86_400


@dataclass(frozen=True)
class Holder:
    policies: tuple[Policy, ...]
    account_id: str = "key"
    pool_id: str = "tenant"
    concurrency: int | None = None
    time_zone: str = "UTC"


@dataclass
class Clocks:
    """Both clocks of a store: the steady one, and the wall's, which can be set."""

    wall_ns: int = 0
    steady_ns: int = 0

    def set(self, text: str, zone: str = "UTC") -> None:
        """Passes the time until it is so late there."""
        self.pass_seconds(seconds_of(text, zone) - self.wall_ns / NS)

    def turn_back(self, seconds: int) -> None:
        self.wall_ns -= seconds * NS

    def pass_seconds(self, seconds: float) -> None:
        self.wall_ns += round(seconds * NS)
        self.steady_ns += round(seconds * NS)


@dataclass
class Service:
    """A limiter and one caller, whose terms may change."""

    texts: list[str]
    zone: str = "UTC"
    level: str = "key"
    unit: str = "requests"
    clocks: Clocks = field(default_factory=Clocks)

    def __post_init__(self):
        self.quotas = Quotas(memory_store(lambda: self.clocks.steady_ns, lambda: self.clocks.wall_ns))
        self.change(*self.texts)

    def change(self, *texts, zone=None):
        self.zone = zone or self.zone
        self.holder = Holder(tuple(parse_limit(text, self.level, self.unit) for text in texts), time_zone=self.zone)

    async def asks(self, times=1, model="iris"):
        """How many of so many requests are admitted, one after the other."""
        admitted = 0
        for _ in range(times):
            try:
                charge = await self.quotas.charge_request(self.holder, model)
                if self.unit == "rows":
                    await charge.spend_rows(1)
                charge.finish()
                admitted += 1
            except QuotaExceeded as refused:
                self.wait = refused.retry_after_seconds
        return admitted

    async def state(self):
        (state,) = await self.quotas.states(self.holder)
        return state


def seconds_of(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["requests", "rows"])
async def test_each_day_of_two_years_has_its_quota_and_no_more(zone, unit):
    """Spent at its first and at its last second, whatever the zone's clocks do; the wait that is named is the day's end."""
    service = Service(["3/calendar-day"], zone, unit=unit)
    day = date(2017, 1, 1)
    while day < date(2019, 1, 1):
        start, end = begin_of(day, zone), begin_of(day + timedelta(days=1), zone)
        service.clocks.pass_seconds(start - service.clocks.wall_ns / NS)
        assert await service.asks(2) == 2, day
        service.clocks.pass_seconds(end - start - 1)
        assert await service.asks(2) == 1, day
        assert (service.wait, (await service.state()).grows_in_seconds) == (1, 1)
        day += timedelta(days=1)


@pytest.mark.parametrize("zone", ZONES)
async def test_each_month_of_ten_years_has_its_quota_and_no_more(zone):
    """28 to 31 days of it. A month's counter that lives for 30 days hands out a second quota on the 31st
    (Kong/kong#2817, #4076, #9581), and one that counts months by hand fails in November (BerriAI/litellm#23099)."""
    service = Service(["2/calendar-month"], zone)
    month = date(2020, 1, 1)
    while month < date(2030, 1, 1):
        following = (month + timedelta(days=31)).replace(day=1)
        start, end = begin_of(month, zone), begin_of(following, zone)
        service.clocks.pass_seconds(start - service.clocks.wall_ns / NS)
        assert await service.asks(1) == 1
        for part in (0.25, 0.5, 0.97):
            service.clocks.pass_seconds(start + (end - start) * part - service.clocks.wall_ns / NS)
            assert await service.asks(2) == (1 if part == 0.25 else 0)
            assert service.wait == pytest.approx(end - service.clocks.wall_ns / NS, abs=1)
        month = following


def begin_of(day: date, zone: str) -> int:
    """The first second of a day, found by looking at the zone's clock a second at a time where it matters."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) - 86_400 * 2
    there = ZoneInfo(zone)
    low, high = noon, noon + 4 * DAY
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, there).date() < day:
            low = middle
        else:
            high = middle
    return high


async def test_a_day_that_was_skipped_is_no_day():
    """Samoa had no 30 December 2011: the 31st follows the 29th, and each has one quota."""
    service = Service(["2/calendar-day"], "Pacific/Apia")
    service.clocks.set("2011-12-29T23:59:58", "Pacific/Apia")
    assert await service.asks(3) == 2
    assert service.wait == 2
    service.clocks.pass_seconds(2)
    assert datetime.fromtimestamp(service.clocks.wall_ns / NS, ZoneInfo("Pacific/Apia")).day == 31
    assert await service.asks(3) == 2
    assert service.wait == DAY


async def test_a_day_that_is_begun_twice_has_one_quota():
    """At a minute past midnight Newfoundland's clocks went back to the day before; the new day goes on."""
    service = Service(["3/calendar-day"], "America/St_Johns")
    service.clocks.set("2010-11-07T00:00:30", "America/St_Johns")
    assert await service.asks(2) == 2
    service.clocks.pass_seconds(60)
    there = datetime.fromtimestamp(service.clocks.wall_ns / NS, ZoneInfo("America/St_Johns"))
    assert (there.day, there.hour, there.minute) == (6, 23, 1)
    assert await service.asks(2) == 1
    service.clocks.pass_seconds(3600)
    assert await service.asks(2) == 0
    assert service.wait == DAY - 90


async def test_a_reset_is_made_once_a_day():
    """At midnight, and not again at each request until 24 hours have passed since the last (labring/aiproxy#640)."""
    service = Service(["2/calendar-day"])
    service.clocks.set("2026-08-30T23:00:00")
    assert await service.asks(3) == 2
    for text, admitted in (("2026-08-31T00:00:00", 2), ("2026-08-31T00:00:01", 0), ("2026-08-31T22:59:59", 0),
                           ("2026-08-31T23:00:01", 0), ("2026-09-01T00:00:00", 2)):  # fmt: skip
        service.clocks.set(text)
        assert await service.asks(3) == admitted, text


async def test_a_day_begins_where_the_tenant_is():
    """At Shanghai's midnight, neither at UTC's (astaxie/TokenHub#335) nor eight hours late (BerriAI/litellm#40978)."""
    service = Service(["1/calendar-day"], "Asia/Shanghai")
    service.clocks.set("2026-09-12T23:59:59", "Asia/Shanghai")
    assert await service.asks(2) == 1
    service.clocks.set("2026-09-13T00:00:00", "Asia/Shanghai")
    assert await service.asks(2) == 1
    service.clocks.set("2026-09-13T00:00:00", "UTC")
    assert await service.asks(2) == 0


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
async def test_what_is_said_of_a_day_is_its_true_length(day, hours):
    """A guess of 24 hours is an hour off twice a year (diegosouzapw/OmniRoute#13671)."""
    service = Service(["1/calendar-day"], "Europe/Berlin")
    service.clocks.set(f"{day}T00:00:00", "Europe/Berlin")
    assert await service.asks(2) == 1
    assert (service.wait, (await service.state()).grows_in_seconds) == (hours * 3600, hours * 3600)
    service.clocks.pass_seconds(hours * 3600 - 1)
    assert await service.asks() == 0
    service.clocks.pass_seconds(1)
    assert await service.asks() == 1


@pytest.mark.parametrize("limit", ["2/calendar-day", "2/calendar-month", "2/minute"])
async def test_a_clock_that_is_set_back_neither_hands_out_nor_locks_out(limit):
    """Set back over midnight, the day that was begun goes on; nobody is refused for ever (restify/node-restify#34)."""
    service = Service([limit])
    service.clocks.set("2026-07-01T00:00:10")
    assert await service.asks(3) == 2
    service.clocks.turn_back(3600)
    assert await service.asks(3) == 0
    service.clocks.pass_seconds(3600)
    assert await service.asks(3) == (2 if limit == "2/minute" else 0)
    service.clocks.set("2026-08-01T00:00:00")
    assert await service.asks(3) == 2


async def test_a_limit_that_changes_keeps_what_was_spent():
    """At once (mailgun/gubernator#37), by the difference and not anew, and what was refused does not count
    (sourcegraph/sourcegraph-public-snapshot#51455, #51899)."""
    for window in ("hour", "calendar-day", "calendar-month"):
        service = Service([f"10/{window}"])
        service.clocks.set("2026-07-10T10:00:00")
        assert await service.asks(25) == 10
        service.change(f"20/{window}")
        assert await service.asks(25) == 10
        service.change(f"5/{window}")
        assert await service.asks() == 0
        assert (await service.state()).left == 0
        service.change(f"21/{window}")
        assert await service.asks(25) == 1


async def test_a_tenant_that_moves_keeps_what_it_spent():
    """The zone is obeyed and not only kept (langwatch/langwatch#6255), and no move hands out a second quota for one day."""
    service = Service(["3/calendar-day"], "UTC")
    service.clocks.set("2026-07-10T11:00:00")
    assert await service.asks(5) == 3
    # It is the 11th in Kiritimati since 10:00, the 10th in Honolulu, and so it goes to and fro.
    for zone, admitted, hours in (("America/Lima", 0, 18), ("Pacific/Kiritimati", 3, 23), ("America/Lima", 0, 42),
                                  ("Pacific/Honolulu", 0, 47), ("Pacific/Kiritimati", 0, 23)):  # fmt: skip
        service.change("3/calendar-day", zone=zone)
        assert (await service.asks(5), (await service.state()).grows_in_seconds) == (admitted, hours * 3600), zone
    service.change("3/calendar-day", zone="UTC")
    service.clocks.set("2026-07-11T12:00:00")
    assert await service.asks(5) == 0
    service.clocks.set("2026-07-12T00:00:00")
    assert await service.asks(5) == 3


async def test_a_month_is_a_calendar_month_and_a_trailing_month_is_thirty_days():
    """Two kinds with two names: others sell one as the other (BerriAI/litellm#9098, #4196)."""
    for text, name, again in (("1/calendar-month", "key-requests-calendar-month", "2026-02-01T00:00:00"),
                              ("1/month", "key-requests-2592000", "2026-02-19T00:00:01")):  # fmt: skip
        service = Service([text])
        service.clocks.set("2026-01-20T00:00:00")
        assert await service.asks(2) == 1
        assert (await service.state()).name == name
        service.clocks.set(again)
        service.clocks.pass_seconds(-2)
        assert await service.asks() == 0
        service.clocks.pass_seconds(2)
        assert await service.asks() == 1


@pytest.mark.parametrize("limit", ["100/minute", "100/calendar-day", "100/calendar-month", "iris: 100/calendar-month"])
async def test_one_request_over_the_whole_quota_is_no_matter_of_waiting(limit):
    """It is never admitted, as it was under a limit of tokens that looked at what was spent alone (BerriAI/litellm#4829)."""
    service = Service([limit], unit="rows")
    service.clocks.set("2026-07-10T11:00:00")
    charge = await service.quotas.charge_request(service.holder, "iris")
    with pytest.raises(ExceedsQuota) as refused:
        await charge.spend_rows(101)
    assert refused.value.policies == [service.holder.policies[0].name]
    await charge.spend_rows(100)


async def test_models_have_limits_of_their_own_and_share_the_others():
    """A flood on one model leaves the other's limit alone; both count on the limit without a model."""
    service = Service(["iris: 5/minute", "wine: 3/calendar-day", "10/minute"])
    service.clocks.set("2026-07-10T11:00:00")
    assert await service.asks(9, "iris") == 5
    assert await service.asks(9, "wine") == 3
    assert await service.asks(9, "diabetes") == 2
    assert {state.name: state.left for state in await service.quotas.states(service.holder)} == {
        "key-requests-60": 0, "key-requests-60@iris": 0, "key-requests-calendar-day@wine": 0
    }  # fmt: skip


async def test_a_calendar_policy_has_no_window_in_the_fields():
    """`t` runs to the period's end, also while nothing is spent; a policy for another model is not shown."""
    service = Service(["5/calendar-day", "iris: 9/minute", "wine: 1/calendar-month"], "Asia/Kolkata")
    service.clocks.set("2026-07-10T23:00:00", "Asia/Kolkata")
    assert (await service.quotas.states(service.holder))[1].grows_in_seconds == 3600
    charge = await service.quotas.charge_request(service.holder, "iris")
    assert limit_fields(charge.states()) == [
        (b"ratelimit-policy", b'"key-requests-calendar-day";q=5, "key-requests-60@iris";q=9;w=60'),
        (b"ratelimit", b'"key-requests-calendar-day";r=4;t=3600, "key-requests-60@iris";r=8;t=61'),
    ]
