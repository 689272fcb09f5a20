"""Following the change counter: four times a second, so that nothing outlives its revocation by more than one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from auth.directory import Directory
from db.catalogue import CatalogueEntry, read_catalogue
from db.changes import latest, since
from db.database import Database, DatabaseUnavailable
from db.tables import Change
from inference.registry import ModelListing, Registry, VersionListing

POLL_SECONDS = 0.25

logger = logging.getLogger("adyton.following")


class Follower:
    """Reads what changed, and tells the directory (on the event loop) and the registry (in a thread of its own)."""

    def __init__(self, database: Database, directory: Directory, registry: Registry) -> None:
        self._database = database
        self._directory = directory
        self._registry = registry
        self._number = 0
        self._is_closing = threading.Event()
        self._models_changed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._poll_for_ever, name="change-follower", daemon=True),
            threading.Thread(target=self._reload_for_ever, name="model-loader", daemon=True),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Reads everything once, here, and goes on in threads. Raises `DatabaseUnavailable`."""
        self._loop = loop
        with self._database.reading() as session:
            self._number = latest(session)
        self._reload()
        read_at, changes = self._read()
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
            except DatabaseUnavailable as error:
                if is_quiet:
                    logger.error("the change counter cannot be read: %s", error)  # noqa: TRY400
                is_quiet = False
                continue
            is_quiet = True
            if any(change.kind == "models" for change in changes):
                self._models_changed.set()
            if self._loop is not None and not self._loop.is_closed():
                # The directory lives on the loop: nothing can be remembered between a change and its forgetting.
                self._loop.call_soon_threadsafe(self._directory.follow, changes, read_at)

    def _read(self) -> tuple[float, list[Change]]:
        read_at = time.monotonic()
        with self._database.reading() as session:
            number = latest(session)
            changes = since(session, self._number) if number != self._number else []
        self._number = max(number, *(change.number for change in changes)) if changes else number
        return read_at, changes

    def _reload_for_ever(self) -> None:
        while not self._is_closing.is_set():
            self._models_changed.wait()
            self._models_changed.clear()
            if not self._is_closing.is_set():
                self._try_reload()

    def _try_reload(self) -> None:
        try:
            self._reload()
        except DatabaseUnavailable:
            # What is served stays served; the change is not forgotten.
            time.sleep(POLL_SECONDS)
            self._models_changed.set()

    def _reload(self) -> None:
        with self._database.reading() as session:
            entries = read_catalogue(session)
        self._registry.follow([_listing(entry) for entry in entries.values()])


def _listing(entry: CatalogueEntry) -> ModelListing:
    model = entry.model
    versions = {
        name: VersionListing(
            id=version.id,
            name=name,
            artifact_sha256=version.artifact_sha256,
            artifact_mac=version.artifact_mac,
            compiled_sha256=version.compiled_sha256,
            compiled_mac=version.compiled_mac,
            compilation=version.compilation,
            row_schema=version.row_schema,
            created_at=version.created_at,
        )
        for name, version in entry.versions.items()
    }
    return ModelListing(
        model.id, model.name, model.description, model.is_public, frozenset(entry.granted_to), versions, entry.aliases
    )
