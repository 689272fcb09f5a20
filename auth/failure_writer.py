"""Writes failures to sign in to the database, behind the requests, so that other processes learn of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from auth.sign_in_failures import SignInFailures, Tally
from auth.strangers import Strangers
from db.database import Database
from db.reach import LOOKUP
from db.tables import SignInFailures as Row
from db.users import add_failures, forget_failures

#: A failure waits this long before it is written; until then other processes do not know of it.
PERIOD_SECONDS = 1.0

logger = logging.getLogger("adyton.sign-in")


class FailureWriter:
    """Runs one task on the loop while failures are unwritten, with one short transaction a second."""

    def __init__(self, database: Database, failures: SignInFailures, strangers: Strangers | None) -> None:
        self._database = database
        self._failures = failures
        self._strangers = strangers
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Starts the task; call this when there may be something to write."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Writes the failures that are left, and ends."""
        self._closing.set()
        self.wake()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._failures.has_unwritten():
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._closing.wait()
            is_last = self._closing.is_set()
            await self._work()
            if is_last:
                return

    async def _work(self) -> None:
        stale, taken = self._failures.take_unwritten()
        added = {digest: tally for digest, tally in taken.items() if self._failures.is_known(digest)}
        unknown = {digest: tally for digest, tally in taken.items() if digest not in added}
        try:
            counts = await asyncio.to_thread(self._write, stale, added)
        except Exception as error:  # noqa: BLE001  this task must outlive whatever the database says
            self._failures.not_written(stale)
            logger.warning("failures to sign in were not written: %s", type(error).__name__)
        else:
            if self._strangers is not None and unknown:
                of_strangers = await self._strangers.add(unknown)
                added |= {digest: unknown[digest] for digest in of_strangers}
                counts |= of_strangers
            self._failures.written(added, counts)

    def _write(self, stale: Collection[str], added: Mapping[str, Tally]) -> dict[str, int]:
        with self._database.transaction(LOOKUP) as session:
            if stale:
                forget_failures(session, stale)
            rows = [Row(counter=each, count=tally.failures, last_at=tally.last_at) for each, tally in added.items()]
            return add_failures(session, rows, datetime.now(UTC))
