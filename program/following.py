"""Follows the change counter four times a second, so that every revocation takes effect within one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from auth.directory import Directory
from db.changes import latest, since
from db.database import Database
from db.reach import LOOKUP
from db.tables import Change
from inference.listings import ModelListing
from inference.registry import RETRY_SECONDS, Registry
from values.alarms import CHANGES_CANNOT_BE_FOLLOWED

POLL_SECONDS = 0.25

logger = logging.getLogger("adyton.following")


class Follower:
    """Reads the changes; tells the directory (on the event loop), the registry (in a thread), and the `reloads`."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        registry: Registry,
        read_listings: Callable[[], Sequence[ModelListing]],
        reloads: Mapping[str, Callable[[], None]],
    ) -> None:
        self._database = database
        self._read_listings = read_listings
        self._directory = directory
        self._registry = registry
        #: By kind of change: reads its subject again, in the polling thread.
        self._reloads = reloads
        self._number = 0
        self._is_closing = threading.Event()
        self._models_changed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._poll_for_ever, name="change-follower", daemon=True),
            threading.Thread(target=self._load_for_ever, name="model-loader", daemon=True),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Reads and loads everything once, and then goes on in threads. Raises `DatabaseUnavailable`."""
        self._loop = loop
        with self._database.reading(LOOKUP) as session:
            # The number first: a change that comes in while models load is then read again.
            self._number = latest(session)
        self._registry.load(self._read_listings())
        read_at, changes = self._read()
        self._hand_out(changes)
        self._directory.follow(changes, read_at)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._is_closing.set()
        self._models_changed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _poll_for_ever(self) -> None:
        is_quiet = True
        while not self._is_closing.wait(POLL_SECONDS):
            try:
                read_at, changes = self._read()
                self._hand_out(changes)
            except Exception as error:  # noqa: BLE001  this thread must outlive every error of the database
                if is_quiet:
                    logger.error("%s: %s", CHANGES_CANNOT_BE_FOLLOWED, type(error).__name__)  # noqa: TRY400  the type says enough
                is_quiet = False
                continue
            is_quiet = True
            self._number = max([self._number, *(change.number for change in changes)])
            if self._loop is not None and not self._loop.is_closed():
                # On the loop, where the directory lives: it can remember no caller while it forgets.
                self._loop.call_soon_threadsafe(self._directory.follow, changes, read_at)

    def _read(self) -> tuple[float, list[Change]]:
        """The changes since the last that were handed out, and the time just before they were read."""
        read_at = time.monotonic()
        with self._database.reading(LOOKUP) as session:
            return read_at, since(session, self._number)

    def _hand_out(self, changes: list[Change]) -> None:
        """Obeys new rights to models at once, and leaves loading to the other thread."""
        for kind in {change.kind for change in changes} & self._reloads.keys():
            self._reloads[kind]()
        if any(change.kind == "models" for change in changes):
            self._registry.restrict(self._read_listings())
            self._models_changed.set()

    def _load_for_ever(self) -> None:
        while not self._is_closing.is_set():
            # A model that could not be loaded may be there by now.
            self._models_changed.wait(RETRY_SECONDS if self._registry.is_behind else None)
            self._models_changed.clear()
            if self._is_closing.is_set():
                return
            try:
                self._registry.load(self._read_listings())
            except Exception as error:  # noqa: BLE001  served models stay served, and the loop tries again
                logger.error("models cannot be loaded: %s", type(error).__name__)  # noqa: TRY400  the type says enough
                time.sleep(POLL_SECONDS)
                self._models_changed.set()
