"""Counts which requests were admitted, and judges whether they kept within the agreed limits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple


class Limit(NamedTuple):
    """At most `amount` requests, or rows, of the named keys together in any trailing window."""

    name: str
    keys: list[str]
    unit: str
    amount: int
    window_seconds: float


class Admitted(NamedTuple):
    """An answered request: seconds on the client's clock when it was sent and when its answer arrived."""

    sent: float
    received: float
    rows: int


class Ledger:
    """Every answer of a run, by the label of its key."""

    def __init__(self) -> None:
        self._admitted: dict[str, list[Admitted]] = defaultdict(list)
        self._statuses: dict[str, Counter[int]] = defaultdict(Counter)

    def note(self, key: str, status: int, admitted: Admitted) -> None:
        self._statuses[key][status] += 1
        if status == 200:
            self._admitted[key].append(admitted)

    def verdict(self, limits: list[Limit]) -> Iterator[str]:
        """One sentence for each fault; none if all is well."""
        for key, statuses in self._statuses.items():
            if set(statuses) - {200, 429}:
                yield f"{key}: answered {dict(statuses)}, where only 200 and 429 are right"
        for limit in limits:
            most = self.most_in_a_window(limit)
            if most > limit.amount:
                yield f"{limit.name}: {most} {limit.unit} within {limit.window_seconds} s, of {limit.amount} allowed"
            if not any(self._statuses[key][429] for key in limit.keys):
                yield f"{limit.name}: was never reached, so that the run proves nothing"

    def most_in_a_window(self, limit: Limit) -> int:
        """The most requests or rows that were certainly admitted within one window.

        The server admits a request at some moment between its sending and its answer. A window counts only requests
        that were sent and answered within it, so that different clocks do not make an honest server look guilty.
        """
        costs = [
            (each.sent, each.received, each.rows if limit.unit == "rows" else 1)
            for key in limit.keys
            for each in self._admitted[key]
        ]
        costs.sort(key=lambda each: each[1])
        starts = sorted({sent for sent, _, _ in costs})
        return max(
            (
                self._within(costs, start, start + limit.window_seconds)
                for start in starts[:: max(1, len(starts) // 2000)]
            ),
            default=0,
        )

    @staticmethod
    def _within(costs: list[tuple[float, float, int]], start: float, end: float) -> int:
        return sum(cost for sent, received, cost in costs if sent >= start and received <= end)

    def summary(self) -> dict[str, dict[int, int]]:
        """How often each key was answered with each status."""
        return {key: dict(statuses) for key, statuses in sorted(self._statuses.items())}
