"""A bounded pool of threads for long computations, one BLAS or OpenMP thread each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from threadpoolctl import threadpool_limits

THREADS = max(4, 2 * (os.cpu_count() or 1))

Work = Callable[[], None]


class Pool:
    """Runs `threads` computations at once, and as many more that take long: the others do not wait for those.

    The threads are daemons: a computation that never ends must not keep the process from ending.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._started = 0
        self._idle = 0
        self._replaced = 0
        #: Counted up when a library was loaded that may have brought threads of its own.
        self._generation = 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()

    def submit(self, work: Work) -> None:
        """Has a thread call `work`, which must not raise."""
        with self._lock:
            self._queue.put(work)
            if self._idle:
                self._idle -= 1
            elif self._started - self._replaced < self._threads:
                self._start()

    def replace_one(self, *, is_hung: bool = False) -> bool:
        """Starts a thread beside one that takes long: always if that hangs, and otherwise while there are few."""
        with self._lock:
            if self._replaced >= self._threads and not is_hung:
                return False
            self._replaced += 1
            self._start()
        return True

    def take_back_one(self) -> None:
        """Ends a thread: a computation whose thread was replaced has ended, and one is too many."""
        with self._lock:
            self._replaced -= 1
            self._queue.put(None)

    def libraries_changed(self) -> None:
        """Limits libraries that came with a model to one thread as well, before the next computation."""
        self._generation += 1

    def close(self) -> None:
        for _ in range(self._started):
            self._queue.put(None)

    def _start(self) -> None:
        self._started += 1
        threading.Thread(target=self._run, name="inference", daemon=True).start()

    def _run(self) -> None:
        generation = -1
        while (work := self._next()) is not None:
            if generation != self._generation:
                generation = self._generation
                threadpool_limits(1)
            work()
            # A reference kept here would keep the rows of the last call.
            del work
        with self._lock:
            self._started -= 1

    def _next(self) -> Work | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            with self._lock:
                self._idle += 1
        work = self._queue.get()
        if work is None:
            with self._lock:
                self._idle -= 1
        return work
