"""A bound on Redis' clock from this process' steady clock: a wall clock that is set ahead must not end windows."""

from __future__ import annotations

import time

#: How much later than the quickest call a call may reach Redis.
SLACK_US = 250_000
#: The quickest call is sought again so often, since no two clocks run at the same speed.
PERIOD_US = 30_000_000


class SteadyClock:
    """Knows the least distance between Redis' clock and ours, which is that of the quickest call."""

    def __init__(self) -> None:
        self._least: list[int] = []
        self._turned_at = 0

    def now_us(self) -> int:
        return time.monotonic_ns() // 1_000

    def latest(self) -> int:
        """Returns the latest time that Redis' clock may show by now; 0 while nothing is known."""
        return min(self._least) + self.now_us() + SLACK_US if self._least else 0

    def note(self, sent_at_us: int, redis_us: int) -> None:
        """Notes Redis' time in the answer to a call that was sent at that time."""
        distance = redis_us - sent_at_us
        if not self._least:
            self._least, self._turned_at = [distance, distance], sent_at_us
        elif sent_at_us - self._turned_at > PERIOD_US:
            self._least, self._turned_at = [distance, self._least[0]], sent_at_us
        elif distance < self._least[0]:
            self._least[0] = distance

    def forget(self) -> None:
        self._least.clear()
