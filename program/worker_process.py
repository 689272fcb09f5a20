"""A worker as its supervisor sees it: a process that was forked, its line, and how it ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn, Protocol

from program.worker import CannotServe, Crew, Post, Ready, Worker

#: What a supervisor obeys. A worker obeys the first two.
ENDING = (signal.SIGTERM, signal.SIGINT)
RENEWING = signal.SIGHUP
OBEYED = (*ENDING, RENEWING)

logger = logging.getLogger("adyton.supervisor")


class Closable(Protocol):
    def close(self) -> None: ...


class WorkerProcess:
    """One worker. It was `ready_at` a time of the monotonic clock, and is killed at `kill_at` if it was told to end."""

    def __init__(self, pid: int, post: Post, line: Connection[Any, Any]) -> None:
        self.pid = pid
        self.post = post
        self.number = post.number
        self.line = line
        self.ready_at: float | None = None
        self.kill_at: float | None = None
        self.reason = ""

    @property
    def is_stopping(self) -> bool:
        return self.kill_at is not None

    def hear(self) -> bool:
        """Takes one message; returns False if the process has ended."""
        try:
            message = self.line.recv()
        except BlockingIOError:
            return True
        except (EOFError, OSError):
            return False
        if isinstance(message, Ready):
            self.ready_at = time.monotonic()
        elif isinstance(message, CannotServe):
            self.reason = message.reason
        return True

    def tell(self, crew: Crew) -> None:
        # A worker that takes no words, since it hangs or has just ended, must not hold the supervisor up.
        with suppress(OSError):
            self.line.send(crew)

    def stop(self, within_seconds: float) -> None:
        """Has it finish what is under way and end."""
        if not self.is_stopping:
            self.kill_at = time.monotonic() + within_seconds
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> str:
        """Waits for its end, which is at hand, and returns how it ended."""
        _, status = os.waitpid(self.pid, 0)
        self.line.close()
        code = os.waitstatus_to_exitcode(status)
        return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def start(post: Post, work: Callable[[Worker], None], foreign: Iterable[Closable]) -> WorkerProcess:
    """Forks a worker, which calls `work` and ends; `foreign` is what only the supervisor may hold open.

    Call it while this process has one thread: a lock that another one holds would stay locked in the worker.
    Raises `OSError` if there is no memory or no process left.
    """
    ours, theirs = Pipe()
    # No signal may reach the worker before it has handlers of its own: the supervisor's would act for both.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
    try:
        pid = os.fork()
        if not pid:
            _be(Worker(post, theirs), work, [*foreign, ours], mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    os.set_blocking(ours.fileno(), False)
    return WorkerProcess(pid, post, ours)


def _be(worker: Worker, work: Callable[[Worker], None], foreign: Iterable[Closable], mask: Iterable[int]) -> NoReturn:
    """Is the worker, from its first instruction to its last; nothing of the supervisor's call stack runs in it."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A terminal sends these to every process of a command; only the supervisor decides about them.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for each in foreign:
            each.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work(worker)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        logger.exception("worker %d failed", worker.post.number)
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
