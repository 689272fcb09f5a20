"""A bounded queue in which networks take turns: one that failed often waits last, and is never shut out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

#: A network's failures count half after this time: a person who shares it with a stranger is not blamed for hours.
HALF_LIFE_SECONDS = 60.0
MAX_NETWORKS = 10_000
#: One turn in so many goes to the network that has waited longest, however often it failed. Thousands of fresh
#: networks delay it by at most so many turns for each network that waited before it.
LONGEST_EVERY = 4

Item = TypeVar("Item")


class RecentFailures:
    """Counts how often networks failed lately; keeps the `MAX_NETWORKS` that failed last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: The count and the time of the last failure by network, in the order of that time.
        self._counts: dict[str, tuple[float, float]] = {}

    def note(self, network: str) -> None:
        """Counts one failure."""
        count = self._decayed(network) + 1
        self._counts.pop(network, None)
        self._counts[network] = (count, self._clock())
        if len(self._counts) > MAX_NETWORKS:
            del self._counts[next(iter(self._counts))]

    def of(self, network: str) -> int:
        return int(self._decayed(network))

    def _decayed(self, network: str) -> float:
        count, at = self._counts.get(network, (0.0, 0.0))
        return count * 0.5 ** ((self._clock() - at) / HALF_LIFE_SECONDS) if count else 0.0


@dataclass(slots=True)
class _Line(Generic[Item]):
    """Items of one network, in the order in which they came; `since` is when the network began to wait for a turn."""

    since: int
    items: deque[Item] = field(default_factory=deque)


class FairQueue(Generic[Item]):
    """While a network waits for its next turn, each other network gets at most one."""

    def __init__(self, failures: RecentFailures, *, per_network: int, in_all: int) -> None:
        self._failures = failures
        self._per_network, self._in_all = per_network, in_all
        self._lines: dict[str, _Line[Item]] = {}
        #: When networks had their last turn, for as long as a network waits that waited already then.
        self._last_turns: dict[str, int] = {}
        self._size = 0
        #: Counts the queue's events, which orders them.
        self._now = 0
        self._turns = 0

    def __len__(self) -> int:
        return self._size

    def put(self, network: str, item: Item) -> Item | None:
        """Adds an item. Returns the item that had to leave: this one, or the newest of the network that has most."""
        left: Item | None = None
        if self._size_of(network) >= self._per_network:
            return item
        if self._size >= self._in_all:
            greediest = max(self._lines, key=self._greed)
            mine, failures = self._greed(network)
            if (mine + 1, failures) >= self._greed(greediest):
                return item
            left = self._lines[greediest].items[-1]
            self.remove(greediest, left)
        self._now += 1
        self._lines.setdefault(network, _Line(self._now)).items.append(item)
        self._size += 1
        return left

    def take(self) -> tuple[str, Item] | None:
        """Takes out the next item; returns its network and the item, or None if the queue is empty."""
        if not self._lines:
            self._last_turns.clear()
            return None
        network = self._next()
        line = self._lines[network]
        item = line.items.popleft()
        self._size -= 1
        self._now += 1
        line.since = self._last_turns[network] = self._now
        if not line.items:
            del self._lines[network]
        return network, item

    def remove(self, network: str, item: Item) -> None:
        """Takes out an item that no longer waits, if it is still there."""
        line = self._lines.get(network)
        if line is None or item not in line.items:
            return
        line.items.remove(item)
        self._size -= 1
        if not line.items:
            del self._lines[network]

    def _next(self) -> str:
        self._turns += 1
        longest = min(self._lines, key=lambda network: self._lines[network].since)
        if self._turns % LONGEST_EVERY == 0:
            return longest
        # A network that had a turn while the longest-waiting network waits gets no second one; the latter always may.
        since = self._lines[longest].since
        self._last_turns = {network: turn for network, turn in self._last_turns.items() if turn > since}
        may_be_taken = [network for network in self._lines if network not in self._last_turns]
        return min(may_be_taken, key=lambda network: (self._failures.of(network), self._lines[network].since))

    def _size_of(self, network: str) -> int:
        line = self._lines.get(network)
        return len(line.items) if line else 0

    def _greed(self, network: str) -> tuple[int, int]:
        return self._size_of(network), self._failures.of(network)
