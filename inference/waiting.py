"""Callers' rows that wait to be computed, and the order in which calls take them: one turn of each owner at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from inference.faults import Answer
from inference.outputs import ModelRaised, Predictions
from inference.rows.inputs import Row


class TakenOut(Exception):
    """The version's calls hung again and again: it computes nothing until it has had time to recover."""


class Hung(Exception):
    """The call that computed these rows has not ended in time."""


class Vanished(Exception):
    """The caller hung up before their rows were computed."""


class Busy(Exception):
    """So many rows wait for the version's calls that these would wait for longer than any request may."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__()
        self.wait_seconds = wait_seconds


class Turn(asyncio.Future[Predictions]):
    """A caller's rows in a lane, and the future of their predictions, `scored` or not.

    Awaiting it raises `NotComputable`, `ModelRaised`, `Hung`, `TakenOut` or `Vanished`. `has_begun` says whether the
    rows' computation has begun. The rows of a turn that is cancelled before that are not computed. `hung_up` returns
    when the caller is gone.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        owner: str = "",
        *,
        scored: bool = False,
        hung_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.rows = rows
        self.owner = owner
        self.scored = scored
        self.has_begun = False
        #: How the rows failed, if they were computed and only the one at fault is still to be found.
        self.raised: ModelRaised | None = None
        self._hung_up = hung_up

    def listen(self) -> None:
        """From now on, ends the turn if its caller hangs up. That takes a task, which a millisecond is not worth."""
        if self._hung_up is not None and not self.done():
            listening = asyncio.ensure_future(self._hung_up())
            self._hung_up = None
            listening.add_done_callback(self._note_silence)
            self.add_done_callback(lambda _: listening.cancel())

    def _note_silence(self, listening: asyncio.Future[None]) -> None:
        if not listening.cancelled():
            self.end(Vanished())

    def end(self, answer: Answer | Hung | TakenOut | Vanished) -> None:
        if self.done():
            return
        if isinstance(answer, Predictions):
            self.set_result(answer)
        else:
            self.set_exception(answer)
            # Looked at here, so that asyncio does not complain if the caller gave up in the same moment.
            self.exception()

    def refuse(self) -> None:
        self.end(self.raised or TakenOut())


class WaitingTurns:
    """Turns by their owner. Whoever has many waits behind everybody else's next one."""

    def __init__(self) -> None:
        #: The first owner is the next; the others follow in their order.
        self._turns: dict[str, deque[Turn]] = {}
        self._count = self._rows = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def calls(self, max_rows: int) -> float:
        """How many calls take all of them, at so many rows each, or each by itself."""
        return self._rows / max_rows if max_rows else self._count

    def add(self, turn: Turn) -> None:
        self._count += 1
        self._rows += len(turn.rows)
        self._turns.setdefault(turn.owner, deque()).append(turn)

    def take(self, max_rows: int) -> list[Turn]:
        """The turns of the next call, without those that were given up: one, and whatever fits beside it.

        A search for a row at fault is a call by itself. Owners whose next turn does not fit are the first next time.
        """
        taken: list[Turn] = []
        passed: dict[str, deque[Turn]] = {}
        room = max_rows
        while self._turns and (room > 0 or not taken):
            owner = next(iter(self._turns))
            turns = self._turns.pop(owner)
            turn = turns[0]
            if not turn.done():
                if taken and (len(turn.rows) > room or turn.raised or taken[0].raised):
                    passed[owner] = turns
                    continue
                taken.append(turn)
                room -= len(turn.rows)
            turns.popleft()
            self._count -= 1
            self._rows -= len(turn.rows)
            if turns:
                self._turns[owner] = turns
        self._turns = passed | self._turns if passed else self._turns
        return taken

    def take_all(self) -> list[Turn]:
        turns = [turn for each in self._turns.values() for turn in each]
        self._turns = {}
        self._count = self._rows = 0
        return turns
