"""One model is examined at a time, by whichever process of this machine: an examination takes a processor."""

from __future__ import annotations

import asyncio
from pathlib import Path

from values.file_locks import FileLock

LOOK_SECONDS = 0.1


class Registrations:
    """The turn to register a version over HTTP. Its lock's file is in the folder of model files."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".registration"
        self._turn = asyncio.Semaphore(1)
        self._lock: FileLock | None = None

    async def acquire(self) -> None:
        """Returns once this request has the turn; `release` must follow."""
        await self._turn.acquire()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._path)
            while not self._lock.try_take():  # noqa: ASYNC110  another process raises no event here
                await asyncio.sleep(LOOK_SECONDS)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._turn.release()
