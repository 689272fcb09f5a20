"""Counts one process's failures to sign in, by name and network and by name alone.

An attempt counts from its admission, so that many at once are not all the first; it is withdrawn if no password was
compared. Names that exist and names that do not are counted alike. Failures under a name that exists are also written
(`take_unwritten`), and those that other processes wrote are learned (`learn`). All on one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

#: Older failures do not count.
FAILURES_LAST = timedelta(days=1)
#: So many counters are kept, those that failed last; at twenty attempts a second that is 40 minutes of a flood.
MAX_COUNTERS = 100_000
#: Counters in one transaction: on SQLite nothing else is written meanwhile, not even the log.
WRITTEN_AT_ONCE = 500


class TooManyFailedSignIns(Exception):
    """So many attempts failed in a row that the next one has to wait."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Counter(NamedTuple):
    """The digest that names a counter, how many failures in a row cost nothing, and the longest wait after more."""

    digest: str
    free: int
    longest_seconds: int


class Tally(NamedTuple):
    """The number of failures in a row, and the instant of the last."""

    failures: int
    last_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """An attempt that was admitted; it counts until it is withdrawn, fails or is forgotten."""

    counters: Sequence[Counter]
    at: datetime


@dataclass(slots=True)
class _Failed:
    """A counter's failures: `stored`, as the database last said, and `own` since, unwritten if the name exists."""

    stored: int
    own: int
    last_at: datetime


class SignInFailures:
    """Counts failures, and decides which attempts have to wait."""

    def __init__(self, max_counters: int = MAX_COUNTERS, *, shares_strangers: bool = False) -> None:
        self._max_counters = max_counters
        #: Whether failures under names that do not exist are written too, elsewhere.
        self._shares_strangers = shares_strangers
        #: By counter, in the order of their last failure.
        self._failed: dict[str, _Failed] = {}
        self._under_way: dict[str, list[Attempt]] = {}
        #: Counters with failures of this process alone, and whether their names exist.
        self._unwritten: dict[str, bool] = {}
        #: Counters that were forgotten while they were written: their rows are to be deleted.
        self._stale: set[str] = set()
        self._is_writing = False
        self._changes = 0

    def admit(self, counters: Sequence[Counter], now: datetime) -> Attempt:
        """Counts an attempt. Raises `TooManyFailedSignIns` for one that has to wait, and does not count it."""
        attempt = Attempt(counters, now)
        self.check(attempt, now)
        for counter in counters:
            self._under_way.setdefault(counter.digest, []).append(attempt)
        return attempt

    def check(self, attempt: Attempt, now: datetime) -> None:
        """Raises `TooManyFailedSignIns` if the attempt must wait, by what failed or was admitted before it."""
        for counter in attempt.counters:
            tally = self._before(counter.digest, attempt, now)
            if tally.failures < counter.free:
                continue
            wait = min(2 ** min(tally.failures - counter.free, 20), counter.longest_seconds)
            since = (now - tally.last_at).total_seconds()
            if since < wait:
                raise TooManyFailedSignIns(math.ceil(wait - since))

    def withdraw(self, attempt: Attempt) -> None:
        """Undoes the admission: no password was compared."""
        for counter in attempt.counters:
            admitted = self._under_way[counter.digest]
            admitted.remove(attempt)
            if not admitted:
                del self._under_way[counter.digest]

    def fail(self, attempt: Attempt, now: datetime, *, is_known: bool) -> None:
        """Counts a wrong password; if the name exists (`is_known`), other processes are to learn of the failure.

        The wait begins now and not at the admission: it would end before the attempt is through a long queue.
        """
        self.withdraw(attempt)
        for counter in attempt.counters:
            failed = self._recent(counter.digest, now) or _Failed(0, 0, now)
            failed.own += 1
            self._remember(counter.digest, failed, now)
            if is_known or self._shares_strangers:
                self._unwritten[counter.digest] = is_known

    def forget(self, attempt: Attempt) -> None:
        """Starts the attempt's counters again: it succeeded, and they were deleted from the database."""
        self.withdraw(attempt)
        self._changes += 1
        for counter in attempt.counters:
            self._drop(counter.digest)
            if self._is_writing:
                self._stale.add(counter.digest)

    def moment(self) -> int:
        """Returns a moment for `learn`; take it before asking the database."""
        return self._changes

    def learn(self, attempt: Attempt, stored: Mapping[str, Tally], moment: int) -> None:
        """Takes over what the database said of the attempt's counters, unless that may have changed meanwhile."""
        if self._is_writing or moment != self._changes:
            return
        for counter in attempt.counters:
            tally, failed = stored.get(counter.digest), self._recent(counter.digest, attempt.at)
            if counter.digest in self._stale:
                continue
            if tally is not None:
                failed = failed or _Failed(0, 0, tally.last_at)
                failed.stored = tally.failures
                self._remember(counter.digest, failed, tally.last_at)
            elif failed is not None:
                # Another process forgot the counter, since the person signed in there.
                failed.stored = 0

    def has_unwritten(self) -> bool:
        return bool(self._unwritten or self._stale)

    def take_unwritten(self) -> tuple[Collection[str], dict[str, Tally]]:
        """Returns the counters to delete, and then the failures to add; `written` or `not_written` must follow."""
        self._is_writing = True
        self._changes += 1
        stale, self._stale = self._stale, set()
        digests = list(islice(self._unwritten, WRITTEN_AT_ONCE))
        return stale, {each: Tally(self._failed[each].own, self._failed[each].last_at) for each in digests}

    def is_known(self, digest: str) -> bool:
        """Whether an unwritten counter's name exists."""
        return self._unwritten.get(digest, True)

    def written(self, added: Mapping[str, Tally], counts: Mapping[str, int]) -> None:
        """Notes that the failures are in the database, which has these counts by now."""
        for digest, tally in added.items():
            failed = self._failed.get(digest)
            if failed is None or digest in self._stale:
                continue
            # Own failures are fewer if the counter was dropped and failed again meanwhile.
            failed.own = max(0, failed.own - tally.failures)
            failed.stored = counts[digest]
            if not failed.own:
                self._unwritten.pop(digest, None)
        self._is_writing = False
        self._changes += 1

    def not_written(self, stale: Collection[str]) -> None:
        """Notes that nothing was written; `take_unwritten` returns it again."""
        self._stale |= set(stale)
        self._is_writing = False
        self._changes += 1

    def _before(self, digest: str, attempt: Attempt, now: datetime) -> Tally:
        """Returns what counts against the attempt: failures, and attempts admitted before it that still run."""
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
        if len(self._failed) > self._max_counters:
            self._drop(next(iter(self._failed)))

    def _drop(self, digest: str) -> None:
        self._failed.pop(digest, None)
        self._unwritten.pop(digest, None)
