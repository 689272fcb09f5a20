"""Days and months of time zones, against their clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotas.calendar import CalendarWindow, bounds_at
from quotas.store import Calendar
from quotas.window import NS

ZONES = ["UTC", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Apia", "America/St_Johns", "Asia/Kathmandu"]


def second(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("Europe/Berlin", "2027-03-28T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("America/Havana", "2026-11-01T12:00", 25),
        ("Asia/Beirut", "2027-03-28T12:00", 23),
        ("Pacific/Apia", "2011-12-30T03:00", 24),
        ("America/St_Johns", "2010-11-07T12:00", 25),
        ("UTC", "2027-02-28T12:00", 24),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(zone, at, hours):
    """Where clocks skip midnight, show it twice, or skip a whole day."""
    bounds = bounds_at(Calendar("day", zone), second(at))
    assert bounds.end - bounds.start == hours * 3600


@given(
    st.sampled_from(ZONES), st.sampled_from(["day", "month"]), st.integers(second("1990-01-01"), second("2040-01-01"))
)
def test_periods_follow_each_other_without_gap_and_their_days_only_rise(zone, period, at):
    """Each instant is in one period; the next one begins where it ends, with a later first day."""
    calendar = Calendar(period, zone)
    bounds = bounds_at(calendar, at)
    assert bounds.start <= at < bounds.end < bounds.next_end
    assert bounds.first < bounds.next_first
    assert bounds_at(calendar, bounds.start) == bounds_at(calendar, bounds.end - 1) == bounds
    after = bounds_at(calendar, bounds.end)
    assert (after.start, after.end, after.first) == (bounds.end, bounds.next_end, bounds.next_first)
    begin = datetime.fromtimestamp(bounds.start, ZoneInfo(zone))
    assert period == "day" or begin.day == 1
    assert bounds_at(calendar, bounds.start - 1).first < bounds.first


def test_a_day_that_was_over_is_not_begun_again():
    """A wall clock that goes back hands out nothing: what is spent then counts on the later day."""
    wall = second("2026-11-30T23:59:50") * NS
    window = CalendarWindow(Calendar("month", "UTC"), lambda: wall)
    window.spend(5, 1)
    assert window.state(10, 1) == (5, 10 * NS)
    wall += 20 * NS
    assert window.spent(2) == 0
    window.spend(7, 2)
    wall -= 3600 * NS
    assert window.spent(3) == 7
    window.give_back(1, 1)
    assert window.spent(3) == 7, "what was spent in November is not given back in December"
    wall += 2 * 3600 * NS
    assert window.spent(4) == 7
