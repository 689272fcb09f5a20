"""The running day or month in a time zone, and a meter's spending in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quotas.store import Calendar, State, Trailing

NS = 1_000_000_000


class Bounds(NamedTuple):
    """The running period's start and end, and the end of the next one, in seconds since 1970.

    `first` and `next_first` are the first days of both, as numbers in the order of time.
    """

    start: int
    end: int
    next_end: int
    first: int
    next_first: int


def bounds_at(calendar: Calendar, second: int) -> Bounds:
    """Returns the bounds of the period that holds this second (since 1970). Raises `ZoneInfoNotFoundError`.

    A day lasts 23 or 25 hours where the zone's clocks change; where they skip midnight, it begins when they do.
    """
    remembered = _bounds(calendar, second // _REMEMBERED_SECONDS)
    if remembered.start <= second < remembered.end:
        return remembered
    return _bounds_of(calendar, second)


#: Bounds are remembered by the quarter of an hour: no zone begins a day in between.
_REMEMBERED_SECONDS = 900


@lru_cache(maxsize=4_096)
def _bounds(calendar: Calendar, quarter: int) -> Bounds:
    return _bounds_of(calendar, quarter * _REMEMBERED_SECONDS)


def _bounds_of(calendar: Calendar, second: int) -> Bounds:
    zone = ZoneInfo(calendar.zone)
    first = _first_day(calendar, datetime.fromtimestamp(second, zone).date())
    periods = [(_begin(first, zone), first.toordinal())]
    while len(periods) < 3:
        first = _next_first_day(calendar, first)
        begun = _begin(first, zone)
        # A zone may skip a whole day (Samoa had no 30 December 2011): that day has no length, and is no period.
        if begun <= second:
            periods.clear()
        elif begun == periods[-1][0]:
            periods.pop()
        periods.append((begun, first.toordinal()))
    (start, label), (end, next_label), (next_end, _) = periods
    return Bounds(start, end, next_end, label, next_label)


def _first_day(calendar: Calendar, day: date) -> date:
    return day if calendar.period == "day" else day.replace(day=1)


def _next_first_day(calendar: Calendar, first: date) -> date:
    if calendar.period == "day":
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)


def _begin(day: date, zone: ZoneInfo) -> int:
    # A midnight that clocks skip is the instant at which they do; of one that they show twice it is the first.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())


class CalendarWindow:
    """The spending in the running period.

    A period is known by its first day, and the window never turns back to an earlier one: it counts on in the later
    period if the wall clock is set back, or the time zone is changed.
    """

    __slots__ = ("_began_at", "_bounds", "_first", "_spent", "_wall", "kind")

    def __init__(self, kind: Calendar, wall: Callable[[], int]) -> None:
        self.kind = kind
        self._wall = wall
        self._first = 0
        self._bounds = Bounds(0, 0, 0, 0, 0)
        self._spent = 0
        #: The store's time of the first spending of the period.
        self._began_at: int | None = None

    def spent(self, _now: int) -> int:
        """Returns what was spent in the running period."""
        second = self._wall() // NS
        if not self._bounds.start <= second < self._bounds.end:
            self._bounds = bounds_at(self.kind, second)
            if self._bounds.first > self._first:
                self._first, self._spent, self._began_at = self._bounds.first, 0, None
        return self._spent

    def spend(self, cost: int, now: int) -> None:
        if self._began_at is None:
            self._began_at = now
        self._spent = self.spent(now) + cost

    def seed(self, cost: int, at: int) -> None:
        """Counts spending of the running period; `at` may be any time in it."""
        spent = self.spent(at)
        self._began_at = at if self._began_at is None else min(at, self._began_at)
        self._spent = spent + cost

    def follow(self, kind: Trailing | Calendar) -> None:
        """Obeys another time zone from now on."""
        if isinstance(kind, Calendar):
            self.kind, self._bounds = kind, Bounds(0, 0, 0, 0, 0)

    def give_back(self, cost: int, spent_at: int) -> None:
        """Undoes a `spend` of that instant, if its period still runs."""
        if self.spent(spent_at) and self._began_at is not None and spent_at >= self._began_at:
            self._spent = max(0, self._spent - cost)

    def state(self, amount: int, now: int) -> State:
        """Returns what is left of the amount, and the nanoseconds until the period ends."""
        return State(max(0, amount - self.spent(now)), self.grows_in(now))

    def free_again(self, amount: int, now: int) -> int:
        """Returns the nanoseconds until `amount` of the spending comes back; 0 if none has to."""
        return self.grows_in(now) if amount > 0 else 0

    def grows_in(self, now: int) -> int:
        """Returns the nanoseconds until the period ends, whether or not anything is spent."""
        self.spent(now)
        # Where the window does not turn back to an earlier period, it waits for the end of the later one.
        end = self._bounds.end if self._first == self._bounds.first else self._bounds.next_end
        return end * NS - self._wall()
