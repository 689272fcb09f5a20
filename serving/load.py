"""Says no while there is time: a prediction that could not be answered within its deadline is refused at once.

Every answer waits for the log. While that wait is short, all are admitted. Once it is long, those tenants are refused
that have more than an equal share of all requests under way; once it is as long as the deadline, everybody is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

#: A wait for the log of more than this share of the deadline is overload.
CROWDED = 0.2
MAX_RETRY_SECONDS = 60


class Overloaded(Exception):
    """More is waiting than can be answered in time; there may be room after `retry_after_seconds`."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__()
        self.retry_after_seconds = max(1, min(math.ceil(wait_seconds), MAX_RETRY_SECONDS))


class Queue(Protocol):
    """The queue that every answer waits in."""

    def wait_seconds(self, now: float) -> float:
        """How long a record that comes now, by `time.perf_counter`, is likely to wait."""
        ...


class Load:
    """The predictions under way, by tenant. `patience_seconds` is the deadline of each."""

    def __init__(self, queue: Queue, patience_seconds: float) -> None:
        self._queue = queue
        self._patience_seconds = patience_seconds
        self._under_way: dict[str, int] = {}

    @property
    def under_way(self) -> Mapping[str, int]:
        """The number of predictions under way of each tenant that has any."""
        return self._under_way

    def enter(self, tenant_id: str, now: float) -> None:
        """Counts one more prediction of the tenant, until it leaves. Raises `Overloaded`, and counts nothing."""
        wait = self._queue.wait_seconds(now)
        own = self._under_way.get(tenant_id, 0)
        if wait > CROWDED * self._patience_seconds:
            has_too_many = own * len(self._under_way) > sum(self._under_way.values())
            if has_too_many or wait >= self._patience_seconds:
                raise Overloaded(wait)
        self._under_way[tenant_id] = own + 1

    def leave(self, tenant_id: str) -> None:
        left = self._under_way[tenant_id] - 1
        if left:
            self._under_way[tenant_id] = left
        else:
            del self._under_way[tenant_id]
