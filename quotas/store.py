"""The seam between limits and where their spending is counted: in this process, or in Redis for all processes.

A store knows meters and no callers. It decides on its own clock, and says with each decision what is left, so that
nobody has to ask twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol


class Trailing(NamedTuple):
    """The last `seconds`: spending comes back as it grows older than that."""

    seconds: int


class Calendar(NamedTuple):
    """The running day or month in a time zone (an IANA name): all spending comes back when it ends."""

    period: Literal["day", "month"]
    zone: str


class Meter(NamedTuple):
    """One policy to charge: the name that it counts under, the amount that it allows, and its window."""

    name: str
    amount: int
    window: Trailing | Calendar


class State(NamedTuple):
    """The amount left of a meter, and the nanoseconds until that grows (0: nothing is spent)."""

    left: int
    grows_in_ns: int


class Charged(NamedTuple):
    """A charge that was made. `spent_at` is the store's time of it, for `give_back`; `states` are as they are now."""

    spent_at: int
    states: Sequence[State]


class Refused(NamedTuple):
    """A charge that was not made: the meters that it would have overrun, and the wait until all could take it."""

    over: Sequence[Meter]
    wait_ns: int
    states: Sequence[State]


class Lease(NamedTuple):
    """A place among the requests under way of a pool, until it is released or its process is gone."""

    pool: str
    id: str


class Spending(NamedTuple):
    """Spending that the log remembers: `cost` on the meter of that name, at a time in milliseconds since 1970."""

    meter: Meter
    cost: int
    at_ms: int


class StoreUnavailable(Exception):
    """The spending cannot be counted now: nothing may be admitted. It may be back after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Store(Protocol):
    """Counts spending and places. Every method raises `StoreUnavailable` where it cannot."""

    async def charge(self, meters: Sequence[Meter], cost: int, shown: Sequence[Meter] = ()) -> Charged | Refused:
        """Spends `cost` on every meter, or on none.

        `states` in the answer are those of `meters` and then of `shown`, in their order.
        """
        ...

    async def give_back(self, meters: Sequence[Meter], cost: int, spent_at: int) -> None:
        """Undoes a charge, as far as it still counts."""
        ...

    async def states(self, meters: Sequence[Meter]) -> Sequence[State]: ...

    async def lease(self, pool: str, at_once: int | None) -> Lease | None:
        """A place in the pool, or None if `at_once` are taken (None: there is no bound)."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def seed(self, spendings: Sequence[Spending]) -> None:
        """Counts what was spent before the store began to count, whatever the meters allow."""
        ...

    async def check(self) -> bool:
        """Whether the store counts, found out by counting."""
        ...
