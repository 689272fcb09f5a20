"""Keeps several workers at work: starts them, replaces those that die, and renews or ends all of them on a signal.

SIGTERM and SIGINT end all: each worker finishes what is under way. SIGHUP renews them one by one: a successor serves
before its predecessor stops. All accept from the same sockets, so that no waiting connection is lost with a worker. The
supervisor itself opens no database and serves nobody; it stays a process of one thread, from which forking is safe.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from program.connection_counts import ConnectionCounts
from program.signals import Signals
from program.worker import Crew, Post, Worker
from program.worker_process import OBEYED, RENEWING, Closable, WorkerProcess, start
from values.alarms import WORKER_DOES_NOT_START
from values.ids import uuid7

#: A worker that ends so soon after it began to serve, or before, counts as one that does not start.
SETTLED_SECONDS = 1.0
#: Before any has served, so many ends make the supervisor give up.
MOST_FAILED_STARTS = 3
LONGEST_PAUSE_SECONDS = 30.0

logger = logging.getLogger("adyton.supervisor")


class NeverServed(Exception):
    """No worker has ever served; the message says how the last one ended."""


class Supervisor:
    """The workers of one command. A worker runs `work`; one that was told to end gets `stop_seconds`.

    `shared` is what the workers listen on: it is closed here when all of them are to end.
    """

    def __init__(
        self, count: int, work: Callable[[Worker], None], shared: Sequence[Closable] = (), *, stop_seconds: float
    ) -> None:
        self._count = count
        self._work = work
        self._shared = shared
        self._stop_seconds = stop_seconds
        self._processes: list[WorkerProcess] = []
        #: By number: how many workers of that number in a row did not start, and when the next one may.
        self._starts = dict.fromkeys(range(1, count + 1), (0, 0.0))
        #: Workers from before the last SIGHUP that still have to be replaced.
        self._outdated: list[WorkerProcess] = []
        #: Workers that have ended and whose chains nobody has cited yet.
        self._uncited: list[str] = []
        # While they are renewed, each number may have two.
        self._counts = ConnectionCounts(2 * count)
        self._is_ending = False
        self._has_served = False
        self._failure = ""

    def run(self) -> None:
        """Returns when every worker has ended after a signal. Raises `NeverServed`."""
        with Signals(OBEYED) as signals:
            while not self._is_ending or self._processes:
                self._start_due(signals)
                self._renew(signals)
                self._kill_overdue()
                lines = {process.line: process for process in self._processes}
                for each in wait([signals.fileno(), *lines], self._seconds_until_due()):
                    if each in lines:
                        self._hear(lines[each])
                    else:
                        self._obey(signals)
        if self._failure:
            raise NeverServed(self._failure)

    def _start_due(self, signals: Signals) -> None:
        for number in self._vacant():
            if self._starts[number][1] <= time.monotonic():
                self._start(number, signals)

    def _vacant(self) -> list[int]:
        """The numbers that no worker has, or only one that is about to end."""
        held = {process.number for process in self._processes if not process.is_stopping}
        return [] if self._is_ending else [number for number in self._starts if number not in held]

    def _start(self, number: int, signals: Signals) -> None:
        foreign: list[Closable] = [signals, *(process.line for process in self._processes)]
        entry = min(set(range(2 * self._count)) - {process.post.entry for process in self._processes})
        self._counts.end(entry)
        post = Post(uuid7(), number, self._count, tuple(self._uncited), self._counts, entry)
        try:
            self._processes.append(start(post, self._work, foreign))
        except OSError as error:
            self._note_failure(number, f"the system has no room for a process ({error.strerror})")

    def _renew(self, signals: Signals) -> None:
        """Has one successor at a time start; once it serves, its predecessor finishes."""
        self._outdated = [process for process in self._outdated if process in self._processes]
        if not self._outdated or self._is_ending or self._outdated[0].is_stopping:
            return
        old = self._outdated[0]
        successor = next((each for each in self._processes if each.number == old.number and each is not old), None)
        if successor is None:
            self._start(old.number, signals)
        elif successor.ready_at is not None:
            old.stop(self._stop_seconds)

    def _kill_overdue(self) -> None:
        for process in self._processes:
            if process.kill_at is not None and process.kill_at <= time.monotonic():
                logger.error("worker %d (process %d) did not end in time", process.number, process.pid)
                process.kill()
                process.kill_at += self._stop_seconds

    def _seconds_until_due(self) -> float | None:
        """None if only a signal or a worker can make anything due."""
        due = [process.kill_at for process in self._processes if process.kill_at is not None]
        due += [self._starts[number][1] for number in self._vacant()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _obey(self, signals: Signals) -> None:
        for number in signals.read():
            if number != RENEWING:
                self._end()
            elif not self._is_ending:
                logger.info("the workers are renewed one by one")
                self._outdated = list(self._processes)
                self._starts = dict.fromkeys(self._starts, (0, 0.0))

    def _end(self) -> None:
        self._is_ending = True
        # First: as long as one process listens, clients connect, and the last to close resets those that nobody took.
        for each in self._shared:
            each.close()
        for process in self._processes:
            process.stop(self._stop_seconds)

    def _hear(self, process: WorkerProcess) -> None:
        had_served = process.ready_at is not None
        if not process.hear():
            self._bury(process)
        elif process.ready_at is not None and not had_served:
            self._has_served = True
            self._uncited = [each for each in self._uncited if each not in process.post.ended]
            logger.info("worker %d (process %d) serves", process.number, process.pid)
            self._tell_all()

    def _bury(self, process: WorkerProcess) -> None:
        how = process.reap()
        self._processes.remove(process)
        if process.ready_at is not None:
            self._uncited.append(process.post.id)
        self._tell_all(process.post.id)
        if process.is_stopping:
            logger.info("worker %d (process %d) ended", process.number, process.pid)
            return
        if process.ready_at is not None and time.monotonic() - process.ready_at > SETTLED_SECONDS:
            self._starts[process.number] = (0, 0.0)
            logger.error("worker %d (process %d) ended %s: another replaces it", process.number, process.pid, how)
        else:
            self._note_failure(
                process.number, process.reason or f"its process ended {how}", is_final=bool(process.reason)
            )

    def _note_failure(self, number: int, reason: str, *, is_final: bool = False) -> None:
        """Waits before the next start of that number, longer each time. Ends everything if none has ever served.

        `is_final`: the worker itself says why, and another would say the same.
        """
        failures = self._starts[number][0] + 1
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** (failures - 2)) if failures > 1 else 0.0
        self._starts[number] = (failures, time.monotonic() + pause)
        # A successor that does not start leaves everything as it is.
        self._outdated.clear()
        if self._has_served or not (is_final or failures >= MOST_FAILED_STARTS):
            logger.error("%s: number %d, %s", WORKER_DOES_NOT_START, number, reason)
        elif not self._is_ending:
            self._failure = reason if is_final else f"no worker starts: {reason}"
            self._end()

    def _tell_all(self, *ended: str) -> None:
        ready = len({process.number for process in self._processes if process.ready_at and not process.is_stopping})
        for process in self._processes:
            process.tell(Crew(ready, self._count, ended))
