"""The link of one process to Redis: what is asked in one turn of the event loop travels together, in its order.

At most one group is on its way. If it is not answered in time, everything that waits is refused, and whatever is asked
after that at once, until Redis answers again: a task of its own looks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from quotas.shared.seeding import Generation, Memory, generation_of
from quotas.shared.server import Address, Failed, Server
from quotas.shared.steady import SteadyClock
from quotas.shared.words import word_of
from quotas.store import StoreUnavailable, StoreUnfit

#: A process that has shown no sign of life for so long has no places any more.
LIFE_MS = 5_000
SIGN_SECONDS = 1.0
#: An idle link asks so often whether Redis still knows what was spent.
IDLE_SECONDS = 0.1
RETRY_SECONDS = 0.1
START_SECONDS = 3.0
AT_ONCE = 500
#: Where a word names its pool.
PLACE_AT = {"charge": 4, "release": 1}

logger = logging.getLogger("adyton.limits")


class Question(NamedTuple):
    """A word of quotas/shared/count.lua, and who waits for the answer, if anybody does."""

    word: list[Any]
    waiting: asyncio.Future[Any] | None


class Link:
    """Use it on one event loop. Without a `memory` it never tells Redis what was spent: another process does.

    `skew_us` shifts Redis' clock; only tests set it.
    """

    def __init__(self, address: Address, process_id: str, memory: Memory | None) -> None:
        self._memory = memory
        self.skew_us = 0
        self.is_up = False
        self._address = address
        self._process_id = process_id
        self._session = 0
        self._clock = SteadyClock()
        self._redis_us = 0
        self._asked: list[Question] = []
        self._wake = asyncio.Event()
        self._came_up = asyncio.Event()
        #: Places that this process has, by pool; and the pools of which Redis may think otherwise.
        self._places: Counter[str] = Counter()
        self._doubtful: set[str] = set()
        self._signed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when Redis counts, or does not answer for now. Raises `StoreUnfit`."""
        server = None
        try:
            server = await Server.connect(self._address)
        except Failed as error:
            logger.warning("the limits' store does not answer: %s", type(error).__name__)
        self._task = asyncio.create_task(self._run(server))
        if server is not None:
            waiting = asyncio.create_task(self._came_up.wait())
            await asyncio.wait([waiting], timeout=START_SECONDS)
            waiting.cancel()

    async def close(self) -> None:
        """Ends the link. Places that are left end with it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop_all()

    def ask(self, word: list[Any]) -> asyncio.Future[Any]:
        """Returns a future of the answer, or of `StoreUnavailable`."""
        waiting = asyncio.get_running_loop().create_future()
        if self.is_up:
            self._put(Question(word, waiting))
        else:
            waiting.set_exception(StoreUnavailable())
        return waiting

    def forget(self, charge: list[Any], asked: asyncio.Future[Any]) -> None:
        """Undoes a charge whose caller has gone: it may have been answered in the same moment, and nobody looks."""
        if asked.done() and not asked.cancelled() and asked.exception() is None and asked.result()[0] == 1:
            self._undo(charge, asked.result())

    def tell(self, word: list[Any]) -> None:
        """Sends a word whose answer does not matter; while Redis is away it is lost."""
        if self.is_up:
            self._put(Question(word, None))

    def release(self, pool: str) -> None:
        self._places[pool] -= 1
        if not self._places[pool]:
            del self._places[pool]
        if self.is_up:
            self.tell(["release", pool])
        else:
            self._doubtful.add(pool)

    def now_us(self) -> int:
        """Redis' time, as far as this process knows it."""
        return self._redis_us or time.time_ns() // 1_000

    def _put(self, question: Question) -> None:
        self._asked.append(question)
        self._wake.set()

    async def _run(self, server: Server | None) -> None:
        while True:
            try:
                server = server or await Server.connect(self._address)
                await self._serve(server)
            except Failed as error:
                self._go_down(type(error).__name__)
            except StoreUnfit as error:
                self._go_down(str(error))
            except Exception as error:
                # This task must outlive whatever the log's database or a bug of ours raises.
                logger.exception("the limits' store failed")
                self._go_down(type(error).__name__)
            finally:
                self.is_up = False
                self._drop_all()
                if server is not None:
                    await server.close()
            server = None
            await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self, server: Server) -> None:
        while True:
            generation, unknown = await generation_of(server, self._process_id, self._memory)
            if not await self._join(server, generation):
                continue
            words = [["add", cost, word_of(meter, at_ms // 1_000)] for meter, cost, at_ms in unknown]
            if await self._count(server, generation, words) is None:
                continue
            self.is_up = True
            self._came_up.set()
            logger.info("limits are counted in Redis")
            await self._answer_all(server, generation)
            self.is_up = False
            self._drop_all()

    async def _join(self, server: Server, generation: Generation) -> bool:
        self._session += 1
        self._clock.forget()
        places = {pool: max(0, self._places[pool]) for pool in {*self._places, *self._doubtful}}
        session = f"{self._process_id}:{self._session}"
        answer = await server.run(
            "join", generation.marker, generation.name, self._process_id, session, LIFE_MS, orjson.dumps(places)
        )
        self._doubtful.clear()
        self._places = +self._places
        return bool(answer == 1)

    async def _answer_all(self, server: Server, generation: Generation) -> None:
        """Sends what is asked, group after group, as long as Redis knows what was spent."""
        while True:
            if not self._asked:
                self._wake.clear()
                await _set_within(self._wake, IDLE_SECONDS)
            asked, self._asked = self._asked[:AT_ONCE], self._asked[AT_ONCE:]
            asked = [each for each in asked if each.waiting is None or not each.waiting.cancelled()]
            answers = None
            try:
                answers = await self._count(server, generation, [question.word for question in asked])
            finally:
                if answers is None:
                    self._drop(asked)
            if answers is None:
                return
            for question, answer in zip(asked, answers, strict=True):
                self._answer(question, answer)

    def _answer(self, question: Question, answer: Any) -> None:
        word, waiting = question
        is_charged = word[0] == "charge" and answer[0] == 1
        if is_charged and word[4]:
            self._places[word[4]] += 1
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        elif is_charged:
            # Its caller has gone meanwhile.
            self._undo(word, answer)

    def _undo(self, charge: list[Any], answer: Any) -> None:
        """Gives back a charge that was made, and its place."""
        self.tell(["give_back", charge[1], answer[2], charge[2]])
        if charge[4]:
            self.release(charge[4])

    async def _count(self, server: Server, generation: Generation, words: list[list[Any]]) -> list[Any] | None:
        """Returns the answers, or None if Redis does not know what was spent, or does not know this process."""
        now = time.monotonic()
        is_sign_due = now - self._signed_at > SIGN_SECONDS
        asked = {
            "m": generation.marker,
            "g": generation.name,
            "p": self._process_id,
            "s": f"{self._process_id}:{self._session}",
            "t": self._clock.latest(),
            "h": LIFE_MS if is_sign_due else 0,
            "ops": words,
        }
        sent_at_us = self._clock.now_us()
        answers = await server.run("count", orjson.dumps(asked), self.skew_us)
        if not isinstance(answers, list):
            return None
        if is_sign_due:
            self._signed_at = now
        self._redis_us = answers[0]
        self._clock.note(sent_at_us, answers[0])
        return answers[1:]

    def _drop(self, asked: Sequence[Question]) -> None:
        """Refuses these; Redis may or may not have done them."""
        for word, waiting in asked:
            if word[0] in PLACE_AT and word[PLACE_AT[word[0]]]:
                self._doubtful.add(word[PLACE_AT[word[0]]])
            if waiting is not None and not waiting.done():
                waiting.set_exception(StoreUnavailable())

    def _drop_all(self) -> None:
        asked, self._asked = self._asked, []
        self._drop(asked)

    def _go_down(self, why: str) -> None:
        if self.is_up:
            logger.warning("the limits' store does not answer: %s; nothing is admitted until it does", why)
        self.is_up = False


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
