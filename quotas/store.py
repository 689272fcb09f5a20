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


class Pool(NamedTuple):
    """Requests under way that are counted together, and how many there may be at once (None: any number)."""

    name: str
    at_once: int | None


class Lease(NamedTuple):
    """A place in a pool, until it is released or its process is gone. `epoch` is the store's own."""

    pool: str
    epoch: int = 0


class Charged(NamedTuple):
    """A charge that was made. `spent_at` is the store's time of it, for `give_back`; `states` are as they are now."""

    spent_at: int
    states: Sequence[State]
    lease: Lease | None = None


class Refused(NamedTuple):
    """A charge that was not made: the meters that it would have overrun, and the wait until all could take it."""

    over: Sequence[Meter]
    wait_ns: int
    states: Sequence[State]


class Full(NamedTuple):
    """A charge that was not made because its pool has no free place."""

    states: Sequence[State]


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
    """Counts spending and places, on one event loop. What is awaited raises `StoreUnavailable` where it cannot.

    A charge whose waiting caller is cancelled is undone. `give_back` and `release` return at once: their effect
    precedes that of every later call.
    """

    async def charge(
        self, meters: Sequence[Meter], cost: int, shown: Sequence[Meter] = (), pool: Pool | None = None
    ) -> Charged | Refused | Full:
        """Takes a place in `pool` if one is named, and spends `cost` on every meter; or does nothing at all.

        `states` in the answer are those of `meters` and then of `shown`, in their order.
        """
        ...

    def give_back(self, meters: Sequence[Meter], cost: int, spent_at: int) -> None:
        """Undoes a charge, as far as it still counts. While the store is not available, the charge stays."""
        ...

    def release(self, lease: Lease) -> None:
        """Ends a place; to be called once. While the store is not available, the place ends when it is back."""
        ...

    async def states(self, meters: Sequence[Meter]) -> Sequence[State]: ...

    async def seed(self, spendings: Sequence[Spending]) -> None:
        """Counts what was spent before the store began to count, whatever the meters allow."""
        ...

    async def fill(self, spendings: Sequence[Spending]) -> None:
        """Raises each meter that counts less to the sum of its spendings, which lie in its running window."""
        ...

    async def check(self) -> bool:
        """Whether the store counts, found out by counting."""
        ...

    async def start(self) -> None:
        """Gets ready to count, as far as that is possible now. Raises `StoreUnfit` where it never will be."""
        ...

    async def close(self) -> None: ...


class StoreUnfit(Exception):
    """The store must not be used as it is set up; the message says why, and holds no secret."""
