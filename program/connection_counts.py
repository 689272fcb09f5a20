"""How many connections each worker has, in memory that all of them see: who has more than others lets them accept."""

from __future__ import annotations

import mmap
import time

#: A worker that has given no sign of life for so long hangs, or is gone: nobody waits for it to accept.
SILENT_SECONDS = 1.0
_BYTES = 8


class ConnectionCounts:
    """For each entry, the worker's connections and the time of its last sign of life (0: it does not accept).

    Make it before the workers are forked. Each worker writes in its own entry, and nobody else does meanwhile.
    """

    def __init__(self, entries: int) -> None:
        memory = memoryview(mmap.mmap(-1, 2 * entries * _BYTES)).cast("q")
        self._counts, self._alive_at = memory[:entries], memory[entries:]

    def note(self, entry: int, count: int) -> None:
        """Writes how many connections the worker in that entry has."""
        self._counts[entry] = count

    def live(self, entry: int) -> None:
        """Writes that the worker in that entry accepts connections, and lives."""
        self._alive_at[entry] = time.monotonic_ns()

    def end(self, entry: int) -> None:
        """Writes that the worker in that entry accepts no more."""
        self._alive_at[entry] = 0

    def excess(self, entry: int, count: int) -> int:
        """Returns by how many `count` is more than what the worker with the fewest has; 0 if no other accepts."""
        since = time.monotonic_ns() - int(SILENT_SECONDS * 1e9)
        others = [
            self._counts[each] for each, alive_at in enumerate(self._alive_at) if alive_at > since and each != entry
        ]
        return max(0, count - min(others)) if others else 0
