"""Tells Redis what was spent before it counts: a Redis that lost its memory would hand out all of it again.

The marker names the run of the Redis that was told, and the generation of keys that were made then. A Redis that was
emptied has none; one that was started again, from a snapshot or empty, has another run. Either is told again, in a new
generation.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from quotas.shared.past import Key, Past
from quotas.shared.server import Server
from quotas.store import Calendar, Meter, Spending, Trailing

#: A process that seeds says so at least three times as often; if it dies, another takes over.
LOCK_MS = 3_000
#: So long the others have to tell what they admitted that is in no log yet; each notices the loss in a quarter of it.
GRACE_SECONDS = 0.4
WAIT_SECONDS = 0.05
KEYS_AT_ONCE = 500

logger = logging.getLogger("adyton.limits")


async def _nothing() -> None:
    return None


def _no_standing(_at_ms: int) -> Iterable[Spending]:
    return ()


@dataclass(slots=True)
class Memory:
    """How a process knows what was spent: `spendings` from the log (it may block), `standing` on requests under way.

    `settle` returns once the log has everything that it was handed.
    """

    spendings: Callable[[], Iterable[Spending]] = tuple
    standing: Callable[[int], Iterable[Spending]] = _no_standing
    settle: Callable[[], Awaitable[None]] = _nothing


class Generation:
    """A generation of keys in Redis, and the marker that says that it counts."""

    def __init__(self, marker: str) -> None:
        self.marker = marker
        self.name = marker.partition(":")[2]


async def generation_of(server: Server, process_id: str, memory: Memory | None) -> tuple[Generation, list[Spending]]:
    """Returns the generation that counts on this server, once there is one; seeds it if no other process does.

    Returns also this process' standing charges that the generation does not know. Raises one of `Failed`.
    """
    standing: list[Spending] | None = None
    while True:
        marker = await _marker(server)
        if marker is not None:
            is_unknown = standing is not None and await server.ask("HDEL", "adyton:standing", process_id)
            return Generation(marker), (standing or []) if is_unknown else []
        if memory is None:
            await asyncio.sleep(WAIT_SECONDS)
            continue
        if standing is None:
            await memory.settle()
            standing = list(memory.standing(_now_ms()))
            await server.ask("HSET", "adyton:standing", process_id, _standing_word(standing))
            await server.ask("PEXPIRE", "adyton:standing", 60_000)
        if await server.ask("SET", "adyton:seeding", process_id, "NX", "PX", LOCK_MS):
            generation = await _seed(server, process_id, memory)
            if generation is not None:
                return generation, []
        await asyncio.sleep(WAIT_SECONDS)


async def _marker(server: Server) -> str | None:
    marker = ((await server.ask("GET", "adyton:marker")) or b"").decode()
    return marker if marker.startswith(f"{server.run_id}:") else None


async def _seed(server: Server, process_id: str, memory: Memory) -> Generation | None:
    """Tells Redis what was spent, in a new generation. Returns None if another process took over."""
    begun = time.monotonic()
    try:
        past, told = await _read_while_locked(server, memory)
    except Exception:
        await server.ask("DEL", "adyton:seeding")
        raise
    generation = Generation(f"{server.run_id}:{secrets.token_hex(4)}")
    keys = list(past.keys())
    for at in range(0, len(keys), KEYS_AT_ONCE):
        await write_keys(server, generation, keys[at : at + KEYS_AT_ONCE])
    if not await server.run("mark", process_id, generation.marker, *told):
        return None
    logger.info("limits were told what was spent on %d meters, in %.1f s", len(past), time.monotonic() - begun)
    await forget_others(server, generation)
    return generation


async def _read_while_locked(server: Server, memory: Memory) -> tuple[Past, list[str]]:
    """Reads what was spent, and says meanwhile that this process is at it."""
    reading = asyncio.ensure_future(_read_past(server, memory))
    try:
        while not (await asyncio.wait([reading], timeout=LOCK_MS / 3_000))[0]:
            await server.ask("PEXPIRE", "adyton:seeding", LOCK_MS)
    finally:
        reading.cancel()
    return await reading


async def _read_past(server: Server, memory: Memory) -> tuple[Past, list[str]]:
    await asyncio.sleep(GRACE_SECONDS)
    standing = await server.ask("HGETALL", "adyton:standing")
    seconds, us = await server.ask("TIME")
    past = Past(int(seconds) * 1_000_000 + int(us), _now_ms())

    def read() -> None:
        for spending in memory.spendings():
            past.add(spending)

    await asyncio.to_thread(read)
    told = []
    for at in range(0, len(standing), 2):
        told.append(standing[at].decode())
        for spending in _standing_of(standing[at + 1]):
            past.add(spending)
    return past, told


async def write_keys(server: Server, generation: Generation, keys: Sequence[Key]) -> None:
    prefix = f"adyton:{generation.name}:m:"
    commands = [("SET", prefix + key.meter.name, key.value, "PX", max(1, key.lives_ms)) for key in keys]
    for answer in await server.ask_all([*commands, ("PEXPIRE", "adyton:seeding", LOCK_MS)]):
        if isinstance(answer, Exception):
            raise answer


async def forget_others(server: Server, generation: Generation) -> None:
    """Deletes what other generations counted: a snapshot may have brought it back."""
    cursor = b"0"
    while True:
        cursor, found = await server.ask("SCAN", cursor, "MATCH", "adyton:*:*", "COUNT", KEYS_AT_ONCE)
        others = [key for key in found if key.split(b":", 2)[1] != generation.name.encode()]
        if others:
            await server.ask("UNLINK", *others)
        if cursor == b"0":
            return


def _standing_word(standing: Iterable[Spending]) -> bytes:
    return orjson.dumps([[*each.meter[:2], list(each.meter.window), each.cost, each.at_ms] for each in standing])


def _standing_of(word: bytes) -> Iterable[Spending]:
    for name, amount, window, cost, at_ms in orjson.loads(word):
        kind = Calendar(*window) if len(window) > 1 else Trailing(*window)
        yield Spending(Meter(name, amount, kind), cost, at_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
