"""Fills the meter of a limit that is new to its holder with what was spent before, as far as the log knows.

Otherwise each change of a window would hand out a whole quota more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from db.database import DatabaseUnavailable
from db.policies import Policy
from quotas.accounts import Holder, meter_of
from quotas.store import Spending, Store, StoreUnavailable

#: A request waits so long for a reading of the log.
PATIENCE_SECONDS = 5.0
#: Meters that are known to be filled: forgetting them costs a question each.
MAX_FILLED = 250_000


class Past(Protocol):
    """Reads from the log what was spent on these policies of a tenant and its key, in the windows that run now.

    It blocks, and raises `DatabaseUnavailable`.
    """

    def __call__(
        self, policies: Sequence[Policy], *, tenant_id: str, key_id: str, time_zone: str
    ) -> Sequence[Spending]: ...


class Filler:
    """Fills each meter once in this process, before anything is charged to it."""

    def __init__(self, store: Store, past: Past) -> None:
        self._store = store
        self._past = past
        self._filled: set[tuple[str, datetime]] = set()
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def fill(self, holder: Holder) -> None:
        """Returns once the holder's meters are filled; many requests of one holder wait for one reading of the log.

        Raises `StoreUnavailable`.
        """
        ids = (holder.pool_id, holder.account_id)
        # Again after a reading that was begun for the holder's limits before these.
        while self._missing(holder):
            task = self._under_way.get(ids)
            if task is None or task.done():
                task = self._under_way[ids] = asyncio.ensure_future(self._fill(holder))
                task.add_done_callback(partial(self._forget, ids))
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await asyncio.shield(task)
            except TimeoutError:
                # The reading goes on, for those who ask again.
                raise StoreUnavailable from None

    async def _fill(self, holder: Holder) -> None:
        missing = self._missing(holder)
        ids = {"tenant_id": holder.pool_id, "key_id": holder.account_id, "time_zone": holder.time_zone}
        try:
            spendings = await asyncio.to_thread(self._past, list(missing.values()), **ids)
        except DatabaseUnavailable as error:
            raise StoreUnavailable from error
        await self._store.fill(spendings)
        if len(self._filled) >= MAX_FILLED:
            self._filled.clear()
        self._filled.update(missing)

    def _forget(self, ids: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._under_way.get(ids) is task:
            del self._under_way[ids]
        if not task.cancelled():
            # Those who waited have it; where nobody does any more, it is not lost but told to the next.
            task.exception()

    def _missing(self, holder: Holder) -> dict[tuple[str, datetime], Policy]:
        """The policies that are new to the holder, by meter and beginning, without those known to be filled."""
        ids = {"pool_id": holder.pool_id, "account_id": holder.account_id, "time_zone": holder.time_zone}
        new = {
            (meter_of(policy, **ids).name, policy.since): policy
            for policy in holder.policies
            if policy.since is not None
        }
        return {each: policy for each, policy in new.items() if each not in self._filled}
