"""Counts in Redis for all processes, as a storage and a strategy of `limits` that slowapi's Limiter can own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import STRATEGIES, RateLimiter
from limits.util import WindowStats

from quotas.shared import words
from quotas.shared.link import Link
from quotas.shared.past import Past
from quotas.store import Charged, Full, Lease, Meter, Pool, Refused, Spending, State, StoreUnavailable, Trailing

SCHEME = "adyton+redis"
STRATEGY = "shared-sub-window"
_PROBE = Meter("probe", 1_000, Trailing(60))


class SharedStorage(Storage):
    """The link to Redis. Of what `limits` asks of a storage it answers nothing: our strategy alone uses it."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  the base class declares it so

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, *, link: Link, **_options: Any) -> None:
        super().__init__(uri, wrap_exceptions)
        self.link = link

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    def incr(self, key: str, expiry: int, amount: int = 1) -> NoReturn:
        raise NotImplementedError

    def get(self, key: str) -> NoReturn:
        raise NotImplementedError

    def get_expiry(self, key: str) -> NoReturn:
        raise NotImplementedError

    def check(self) -> bool:
        return self.link.is_up

    def reset(self) -> NoReturn:
        raise NotImplementedError

    def clear(self, key: str) -> NoReturn:
        raise NotImplementedError


class SharedStore(RateLimiter):
    """Each charge is one step in Redis, on Redis' clock; those of one turn of the event loop travel together.

    Where Redis does not answer in time, the charge counts as not made here and as spent there.
    """

    storage: SharedStorage

    def __init__(self, storage: SharedStorage) -> None:
        super().__init__(storage)
        self._link = storage.link
        self._wall_clock: Callable[[], float] = time.time

    async def charge(
        self, meters: Sequence[Meter], cost: int, shown: Sequence[Meter] = (), pool: Pool | None = None
    ) -> Charged | Refused | Full:
        second = int(self._wall_clock())
        word = words.charge(words.words_of(meters, second), cost, words.words_of(shown, second), pool)
        asked = self._link.ask(word)
        try:
            return words.outcome_of(await asked, meters, pool)
        except asyncio.CancelledError:
            self._link.forget(word, asked)
            raise

    def give_back(self, meters: Sequence[Meter], cost: int, spent_at: int) -> None:
        second = int(self._wall_clock())
        self._link.tell(["give_back", cost, spent_at, words.words_of(meters, second)])

    def release(self, lease: Lease) -> None:
        self._link.release(lease.pool)

    async def states(self, meters: Sequence[Meter]) -> Sequence[State]:
        if not meters:
            return []
        return words.states_of(await self._link.ask(["states", words.words_of(meters, int(self._wall_clock()))]))

    async def seed(self, spendings: Sequence[Spending]) -> None:
        second = int(self._wall_clock())
        for meter, cost, _ in spendings:
            await self._link.ask(["add", cost, words.word_of(meter, second)])

    async def fill(self, spendings: Sequence[Spending]) -> None:
        past = Past(self._link.now_us(), time.time_ns() // 1_000_000)
        for spending in spendings:
            past.add(spending)
        second = int(self._wall_clock())
        for meter, parts in past.meters():
            await self._link.ask(["fill", words.word_of(meter, second), parts])

    async def check(self) -> bool:
        try:
            (before,) = await self.states([_PROBE])
            outcome = await self.charge([_PROBE], 1)
        except StoreUnavailable:
            return False
        if isinstance(outcome, Charged):
            self.give_back([_PROBE], 1, outcome.spent_at)
        # Other processes check too.
        return isinstance(outcome, Charged | Refused) and before.left > 0

    async def start(self) -> None:
        await self._link.start()

    async def close(self) -> None:
        await self._link.close()

    def end_processes(self, process_ids: Sequence[str]) -> None:
        """Takes back the places of processes that have ended, at once."""
        for process_id in process_ids:
            self._link.tell(["end_process", process_id])

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> NoReturn:
        raise NotImplementedError

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> NoReturn:
        raise NotImplementedError

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        raise NotImplementedError


STRATEGIES[STRATEGY] = SharedStore  # type: ignore[assignment]  # its values are typed as its own classes
