"""The running day or month in a time zone, and a meter's spending in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quotas.store import Calendar

NS = 1_000_000_000


class Bounds(NamedTuple):
    """The running period's start and end, and the end of the next one, in seconds since 1970."""

    start: int
    end: int
    next_end: int


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
    begins = [_begin(first, zone)]
    while len(begins) < 3:
        first = _next_first_day(calendar, first)
        begun = _begin(first, zone)
        # A zone may skip a whole day (Samoa had no 30 December 2011): its day has no length, and is no period.
        if begun > begins[-1]:
            begins.append(begun)
            if begun <= second:
                begins = [begun]
    return Bounds(*begins)


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
    """The spending in the running period. It ends by the wall clock; a wall clock that goes back ends nothing."""

    __slots__ = ("_began_at", "_end_ns", "_spent", "_wall", "calendar")

    def __init__(self, calendar: Calendar, wall: Callable[[], int]) -> None:
        self.calendar = calendar
        self._wall = wall
        self._end_ns = 0
        self._spent = 0
        #: The store's time of the first spending of the period.
        self._began_at: int | None = None

    def spent(self, _now: int) -> int:
        """Returns what was spent in the running period."""
        if self._wall() >= self._end_ns:
            self._spent, self._began_at = 0, None
        return self._spent

    def spend(self, cost: int, now: int) -> None:
        if self.spent(now) == 0:
            self._end_ns = self._end()
        if self._began_at is None:
            self._began_at = now
        self._spent += cost

    def seed(self, cost: int, _at: int) -> None:
        """Counts spending of the running period, whenever it was."""
        self.spend(cost, 0)

    def follow(self, calendar: Calendar) -> None:
        """Obeys another time zone from now on: what was spent stays spent until the period ends there."""
        if calendar != self.calendar:
            self.calendar = calendar
            if self.spent(0):
                self._end_ns = self._end()

    def give_back(self, cost: int, spent_at: int) -> None:
        """Undoes a `spend` of that instant, if its period still runs."""
        if self._began_at is not None and spent_at >= self._began_at:
            self._spent = max(0, self.spent(spent_at) - cost)

    def free_again(self, amount: int, now: int) -> int:
        """Returns the nanoseconds until `amount` of the spending comes back; 0 if none has to."""
        if amount <= 0 or self.spent(now) < amount:
            return 0
        return self._end_ns - self._wall()

    def grows_in(self, now: int) -> int:
        """Returns the nanoseconds until the spending comes back; 0 if there is none."""
        return self.free_again(1, now)

    def _end(self) -> int:
        return bounds_at(self.calendar, self._wall() // NS).end * NS
