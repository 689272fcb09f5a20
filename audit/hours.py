"""Counts the log's records into sums by hour, beside the writer."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from db.database import Database
from db.log_hours import add_sums, chains_behind, next_piece, sums_of
from db.log_store import GONE_AFTER
from db.reach import EVERY_TENANT

#: Whoever needs the sums to the last record calls `sum_up` first: this bounds how much it then has to count.
PERIOD_SECONDS = 20.0
#: So many records take several seconds: people are told how far it is.
TOLD_EVERY = 500_000

logger = logging.getLogger("adyton.audit")


def sum_up(database: Database) -> int:
    """Counts every record that is in the log by now; returns how many there were to count.

    Raises `DatabaseUnavailable`. After a crash, or beside others that do the same, each record is still counted once.
    """
    with database.reading(EVERY_TENANT) as session:
        chains = chains_behind(session)
    counted = told = 0
    for chain_id in chains:
        while size := _sum_piece(database, chain_id):
            counted += size
            if counted - told >= TOLD_EVERY:
                told = counted
                logger.info("counting the log into hours: %d records so far", counted)
    return counted


def _sum_piece(database: Database, chain_id: str) -> int:
    """Counts a chain's next batches and returns how many records they have; 0 if none is left."""
    with database.reading(EVERY_TENANT) as session:
        piece = next_piece(session, chain_id)
        sums = [] if piece is None else sums_of(session, piece)
    if piece is None:
        return 0
    # The log's writer waits for this transaction on SQLite, and not for the reading before it.
    with database.transaction(EVERY_TENANT) as session:
        add_sums(session, piece, sums)
    return max(1, piece.size)


class HourSums:
    """A thread that counts the records of this process's chain, and of chains whose writers are gone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_closed = threading.Event()
        self._own = ""
        self._thread = threading.Thread(target=self._run, name="log-hours", daemon=True)

    def start(self, chain_id: str) -> None:
        self._own = chain_id
        self._thread.start()

    def close(self, timeout_seconds: float) -> None:
        """Ends the thread; the next process counts the rest."""
        self._has_closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._has_closed.wait(PERIOD_SECONDS):
            try:
                self._count()
            except Exception as error:  # noqa: BLE001  this thread must outlive every error of the database
                logger.warning("the log's hours were not counted: %s", type(error).__name__)

    def _count(self) -> None:
        silent_since = datetime.now(UTC) - GONE_AFTER
        with self._database.reading(EVERY_TENANT) as session:
            chains = chains_behind(session, own=self._own, silent_since=silent_since)
        for chain_id in chains:
            while not self._has_closed.is_set() and _sum_piece(self._database, chain_id):
                continue
