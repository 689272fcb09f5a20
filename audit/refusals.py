"""Known callers' refusals on their way to the log: those that repeat within a second become one record."""

from __future__ import annotations

from threading import Lock

from audit.record import Record

#: So many different refusals of one second are kept apart; it takes as many keys to get there.
MAX_PENDING = 100_000


class Refusals:
    """Joins refusals of the same key, model, version, outcome and second.

    Keeps the first one's id, and sums up their number and what they were charged.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str, str | None, str | None, int], Record] = {}
        self._lock = Lock()

    def add(self, record: Record) -> None:
        # By version, too: what was charged for one model must not count for another.
        group = (record.subject, record.outcome, record.model_id, record.version_id, record.at_ms // 1000)
        with self._lock:
            first = self._pending.get(group)
            if first is not None:
                first.count += 1
                first.charged_requests += record.charged_requests
                first.charged_rows += record.charged_rows
            elif len(self._pending) < MAX_PENDING:
                self._pending[group] = record

    def take(self, *, up_to: int | None) -> list[Record]:
        """Removes and returns the records of seconds before `up_to` (seconds since 1970), or all of them."""
        with self._lock:
            ready = [group for group in self._pending if up_to is None or group[-1] < up_to]
            return [self._pending.pop(group) for group in ready]
