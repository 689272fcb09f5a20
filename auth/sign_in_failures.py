"""Failures to sign in, as one process counts them: by name and network, and by name alone.

An attempt counts from its admission, so that many at once are not all the first; it is withdrawn if no password was
compared. Names that exist and names that do not are counted alike. What failed under a name that exists is also to be
written (`take_unwritten`), and what other processes wrote is learned (`learn`). All on one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

#: Failures that are so long past count no more.
FAILURES_LAST = timedelta(days=1)
#: So many places are remembered, the last to fail; at twenty attempts a second that is 40 minutes of a flood.
MAX_PLACES = 100_000
#: On SQLite nothing else is written meanwhile, not even the log.
WRITTEN_AT_ONCE = 500


class TooManyFailedSignIns(Exception):
    """So many attempts failed in a row that the next one has to wait."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Place(NamedTuple):
    """A digest that failures are counted under, how many in a row cost nothing, and the longest wait after more."""

    digest: str
    free: int
    longest_seconds: int


class Tally(NamedTuple):
    """How often in a row signing in failed, and when last."""

    failures: int
    last_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One that was admitted, and counts until it is withdrawn or forgotten."""

    places: Sequence[Place]
    at: datetime


@dataclass(slots=True)
class _Failed:
    """`stored`, as the database last said; `own` came since: for a name that exists, they are still to be written."""

    stored: int
    own: int
    last_at: datetime


class SignInFailures:
    """Counts, and says who has to wait."""

    def __init__(self, max_places: int = MAX_PLACES) -> None:
        self._max_places = max_places
        #: In the order of their last failure.
        self._failed: dict[str, _Failed] = {}
        self._under_way: dict[str, list[Attempt]] = {}
        self._unwritten: dict[str, None] = {}
        #: Forgotten while they were being written: what was written of them is to be deleted.
        self._stale: set[str] = set()
        self._is_writing = False
        self._changes = 0

    def admit(self, places: Sequence[Place], now: datetime) -> Attempt:
        """Counts an attempt at these places. Raises `TooManyFailedSignIns` where it has to wait, and counts none."""
        attempt = Attempt(places, now)
        self.check(attempt, now)
        for place in places:
            self._under_way.setdefault(place.digest, []).append(attempt)
        return attempt

    def check(self, attempt: Attempt, now: datetime) -> None:
        """Raises `TooManyFailedSignIns` if what failed or was admitted before this attempt says that it must wait."""
        for place in attempt.places:
            tally = self._before(place.digest, attempt, now)
            if tally.failures < place.free:
                continue
            wait = min(2 ** min(tally.failures - place.free, 20), place.longest_seconds)
            since = (now - tally.last_at).total_seconds()
            if since < wait:
                raise TooManyFailedSignIns(math.ceil(wait - since))

    def withdraw(self, attempt: Attempt) -> None:
        """No password was compared: it never was."""
        for place in attempt.places:
            admitted = self._under_way[place.digest]
            admitted.remove(attempt)
            if not admitted:
                del self._under_way[place.digest]

    def fail(self, attempt: Attempt, now: datetime, *, is_known: bool) -> None:
        """The password was wrong; `is_known` says whether the name exists, and so whether others are to hear of it.

        The wait begins now, not at its admission: it would be over before a long queue was.
        """
        self.withdraw(attempt)
        for place in attempt.places:
            failed = self._recent(place.digest, now) or _Failed(0, 0, now)
            failed.own += 1
            self._remember(place.digest, failed, now)
            if is_known:
                self._unwritten[place.digest] = None

    def forget(self, attempt: Attempt) -> None:
        """It succeeded, and its places have been deleted from the database: they start over."""
        self.withdraw(attempt)
        self._changes += 1
        for place in attempt.places:
            self._drop(place.digest)
            if self._is_writing:
                self._stale.add(place.digest)

    def moment(self) -> int:
        """To be taken before the database is asked, and given to `learn`."""
        return self._changes

    def learn(self, attempt: Attempt, stored: Mapping[str, Tally], moment: int) -> None:
        """Takes over what the database said of the attempt's places, unless it may have changed meanwhile."""
        if self._is_writing or moment != self._changes:
            return
        for place in attempt.places:
            tally, failed = stored.get(place.digest), self._recent(place.digest, attempt.at)
            if place.digest in self._stale:
                continue
            if tally is not None:
                failed = failed or _Failed(0, 0, tally.last_at)
                failed.stored = tally.failures
                self._remember(place.digest, failed, tally.last_at)
            elif failed is not None:
                # Another process forgot it, since somebody signed in there.
                failed.stored = 0

    def has_unwritten(self) -> bool:
        return bool(self._unwritten or self._stale)

    def take_unwritten(self) -> tuple[Collection[str], dict[str, Tally]]:
        """What is to be deleted, and then what is to be added; `written` or `not_written` must follow."""
        self._is_writing = True
        self._changes += 1
        stale, self._stale = self._stale, set()
        places = list(islice(self._unwritten, WRITTEN_AT_ONCE))
        return stale, {place: Tally(self._failed[place].own, self._failed[place].last_at) for place in places}

    def written(self, added: Mapping[str, Tally], counts: Mapping[str, int]) -> None:
        """They are in the database, with these counts by now."""
        for place, tally in added.items():
            failed = self._failed.get(place)
            if failed is None or place in self._stale:
                continue
            # Fewer where the place was dropped and failed again meanwhile.
            failed.own = max(0, failed.own - tally.failures)
            failed.stored = counts[place]
            if not failed.own:
                self._unwritten.pop(place, None)
        self._is_writing = False
        self._changes += 1

    def not_written(self, stale: Collection[str]) -> None:
        """They are not in the database; they are taken again."""
        self._stale |= set(stale)
        self._is_writing = False
        self._changes += 1

    def _before(self, digest: str, attempt: Attempt, now: datetime) -> Tally:
        """What counts against the attempt: failures, and what was admitted before it and is still under way."""
        failed = self._recent(digest, now)
        count, last_at = (failed.stored + failed.own, failed.last_at) if failed else (0, attempt.at)
        for admitted in self._under_way.get(digest, ()):
            if admitted is attempt:
                break
            last_at = max(last_at, admitted.at) if count else admitted.at
            count += 1
        return Tally(count, last_at)

    def _recent(self, digest: str, now: datetime) -> _Failed | None:
        failed = self._failed.get(digest)
        if failed is not None and now - failed.last_at >= FAILURES_LAST:
            self._drop(digest)
            return None
        return failed

    def _remember(self, digest: str, failed: _Failed, at: datetime) -> None:
        failed.last_at = max(failed.last_at, at)
        self._failed.pop(digest, None)
        self._failed[digest] = failed
        if len(self._failed) > self._max_places:
            self._drop(next(iter(self._failed)))

    def _drop(self, digest: str) -> None:
        self._failed.pop(digest, None)
        self._unwritten.pop(digest, None)
