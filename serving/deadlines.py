"""Ends what takes too long, with one timer for all requests.

All have the same time, so that they end in the order in which they begin. `asyncio.timeout` would set up and cancel a
timer for each, which costs as much as the checks of its body.
"""

from __future__ import annotations

import asyncio


class Deadline:
    """One request's. `has_passed` once its task was cancelled for it."""

    __slots__ = ("_cancellations", "_task", "at", "has_passed")

    def __init__(self, task: asyncio.Task[object], at: float) -> None:
        self._task = task
        #: Cancellations by others, before the deadline began.
        self._cancellations = task.cancelling()
        self.at = at
        self.has_passed = False

    def pass_now(self) -> None:
        self.has_passed = True
        self._task.cancel()

    def is_why(self, error: BaseException | None) -> bool:
        """Whether this deadline, and nothing else, cancelled the task; to be asked once, when its block is left."""
        if not self.has_passed:
            return False
        is_alone = self._task.uncancel() <= self._cancellations
        return is_alone and isinstance(error, asyncio.CancelledError)


class Deadlines:
    """The deadlines of all requests under way, `seconds` after each began. Used on one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: In the order in which they began.
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """Starts the running task's deadline. Its task must `end` it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task has a deadline")
        loop = task.get_loop()
        deadline = Deadline(task, loop.time() + self.seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.at, self._ring, loop)
        return deadline

    def end(self, deadline: Deadline) -> None:
        self._running.pop(deadline, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for deadline in list(self._running):
            if deadline.at > now:
                self._timer = loop.call_at(deadline.at, self._ring, loop)
                return
            del self._running[deadline]
            deadline.pass_now()
