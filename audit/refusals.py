"""Known callers' refusals on their way to the log: those that repeat within a second become one record."""

from __future__ import annotations

from threading import Lock

from audit.record import Record

#: So many different refusals of one second are kept apart; it takes as many keys to get there.
MAX_PENDING = 100_000


class Refusals:
    """Joins refusals of the same key, outcome and second; keeps the first one's id and counts the rest."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str, int], Record] = {}
        self._lock = Lock()

    def add(self, record: Record) -> None:
        group = (record.subject, record.outcome, record.at_ms // 1000)
        with self._lock:
            first = self._pending.get(group)
            if first is not None:
                first.count += 1
            elif len(self._pending) < MAX_PENDING:
                self._pending[group] = record

    def take(self, *, up_to: int | None) -> list[Record]:
        """Removes and returns the records of seconds before `up_to` (seconds since 1970), or all of them."""
        with self._lock:
            ready = [group for group in self._pending if up_to is None or group[2] < up_to]
            return [self._pending.pop(group) for group in ready]
