"""Upkeep of a running server, twice a minute.

It writes down when keys were used, finishes erasures, and forgets changes that every process has followed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from admin.tenants import erase_records
from auth.directory import Directory
from db.changes import forget_changes
from db.database import Database
from db.keys import note_use
from db.reach import EVERY_TENANT, NO_TENANT
from db.tenants import erased_since

PERIOD_SECONDS = 30.0
#: On SQLite, each transaction of so many keys holds up all other writers, even the log.
KEYS_AT_ONCE = 500
#: A request under way when its tenant was erased began at most so long before, and is recorded at most so long after.
LINGERS = timedelta(hours=1)

logger = logging.getLogger("adyton.housekeeping")


class Housekeeping:
    """One task on the loop. Its transactions run in threads, and no request waits for them.

    Of several workers, only the first does what one is enough for; each knows alone which keys it has seen.
    """

    def __init__(self, database: Database, directory: Directory, *, is_first: bool = True) -> None:
        self._database = database
        self._directory = directory
        self._is_first = is_first
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ends the task, after one last round."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.work()

    async def work(self) -> None:
        """Works one round. If a write fails, it is not tried again."""
        used = self._directory.take_used()
        try:
            await asyncio.to_thread(self._write, used, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001  this task must outlive every error of the database
            logger.warning("housekeeping failed: %s", type(error).__name__)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await self.work()

    def _write(self, used: Sequence[str], now: datetime) -> None:
        for start in range(0, len(used), KEYS_AT_ONCE):
            with self._database.transaction(EVERY_TENANT) as session:
                note_use(session, used[start : start + KEYS_AT_ONCE], now, tenant_id=EVERY_TENANT)
        if self._is_first:
            self._tidy(now)

    def _tidy(self, now: datetime) -> None:
        with self._database.transaction(NO_TENANT) as session:
            forget_changes(session)
        with self._database.reading(EVERY_TENANT) as session:
            erased = erased_since(session, now - LINGERS, tenant_id=EVERY_TENANT)
        for tenant in erased:
            erase_records(self._database, tenant.id, since=(tenant.erased_at or now) - LINGERS)
