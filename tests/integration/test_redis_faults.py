"""Limits in Redis when Redis is slow, frozen, gone, emptied or restored: nothing is admitted that is not counted."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from quotas.limiter import Quotas, TooManyAtOnce
from quotas.shared.link import IDLE_SECONDS
from quotas.shared.seeding import Memory
from quotas.shared.server import Address, Server
from quotas.store import Calendar, Charged, Full, Meter, Pool, Refused, Spending, StoreUnavailable, StoreUnfit, Trailing
from quotas.strategy import shared_store
from tests.support.loop_time import longest_hold
from tests.support.redis import Redis
from tests.support.templates import ROOT

pytestmark = pytest.mark.anyio

HOUR = Meter("key-requests-3600:k", 100, Trailing(3600))
POOL = Pool("tenant", 3)
#: So long a test waits for what must come; a loaded machine is slow.
PATIENCE = 60


@dataclass(frozen=True)
class Holder:
    policies: tuple
    account_id: str = "key"
    pool_id: str = "tenant"
    concurrency: int | None = None
    time_zone: str = "UTC"


class Log:
    """The memory of processes: the charges that their log would have."""

    def __init__(self):
        self.spendings, self.readings = [], 0

    def read(self):
        self.readings += 1
        return list(self.spendings)

    def write(self, cost, meter=HOUR):
        self.spendings.append(Spending(meter, cost, time.time_ns() // 1_000_000))


@asynccontextmanager
async def store_at(redis, process_id="one", log=None, standing=None):
    memory = Memory((log or Log()).read)
    if standing is not None:
        memory.standing = standing
    store = shared_store(redis.url, process_id, memory)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def spend(store, count, meter=HOUR):
    return [await store.charge([meter], 1) for _ in range(count)]


async def refused(store, count):
    return await asyncio.gather(*(store.charge([HOUR], 1) for _ in range(count)), return_exceptions=True)


async def available(store):
    """Returns when the store counts again."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            return await store.states([HOUR])
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    raise TimeoutError


async def unavailable(store):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            await store.states([HOUR])
        except StoreUnavailable:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_a_frozen_redis_refuses_at_once_and_counts_again_by_itself(redis):
    """No call waits for it, the loop is never held, and what was lost on the way counts as spent at most once."""
    async with store_at(redis) as store:
        await spend(store, 10)
        redis.freeze()
        outcomes, longest = await longest_hold(refused(store, 20))
        assert all(isinstance(each, StoreUnavailable) for each in outcomes)
        assert longest < 0.025
        for _ in range(1_000):
            # It is not even asked any more.
            assert store.storage.link.ask([]).exception() is not None
        redis.thaw()
        (state,) = await available(store)
        assert 70 <= state.left <= 90


@pytest.mark.parametrize("blow", ["flush", "kill", "restart"])
async def test_a_redis_that_lost_its_memory_is_told_what_was_spent(redis, blow):
    """80 of 100 are spent: 20 are left, and not one more."""
    log = Log()
    async with store_at(redis, log=log) as store:
        await spend(store, 80)
        log.write(80)
        if blow == "flush":
            redis.ask("FLUSHALL")
        else:
            redis.kill()
            if blow == "kill":
                await unavailable(store)
            redis.start()
        await unavailable(store)
        await available(store)
        outcomes = await spend(store, 40)
        assert sum(isinstance(each, Charged) for each in outcomes) == 20
        assert log.readings == 2


async def test_a_snapshot_is_not_believed(redis):
    """It holds what was spent when it was taken; its Redis has another run, and is told again."""
    log = Log()
    async with store_at(redis, log=log) as store:
        await spend(store, 30)
        redis.ask("SAVE")
        await spend(store, 50)
        log.write(80)
        redis.restart()
        assert redis.ask("KEYS", "*m:key-requests*"), "it was restored"
        await unavailable(store)
        assert (await available(store))[0].left == 20
        until = time.monotonic() + PATIENCE
        while "*1\r\n" not in redis.ask("KEYS", "*m:key-requests*") and time.monotonic() < until:
            await asyncio.sleep(0.02)
        assert redis.ask("KEYS", "*m:key-requests*").startswith("*1\r\n"), "what it brought back is deleted"


async def test_one_process_tells_redis_and_the_others_wait(redis):
    """Each adds what it had admitted that no log knows yet; the log is read once."""
    log = Log()
    log.write(50)
    standing = {name: [] for name in "abcd"}
    async with (
        store_at(redis, "a", log, lambda _: standing["a"]) as a,
        store_at(redis, "b", log, lambda _: standing["b"]) as b,
        store_at(redis, "c", log, lambda _: standing["c"]) as c,
        store_at(redis, "d", log, lambda _: standing["d"]) as d,
    ):
        stores = [a, b, c, d]
        assert log.readings == 1
        for name in "abcd":
            standing[name] = [Spending(HOUR, 4, time.time_ns() // 1_000_000)]
        redis.ask("FLUSHALL")
        for store in stores:
            await unavailable(store)
        states = [await available(store) for store in stores]
        assert {state.left for (state,) in states} == {100 - 50 - 4 * 4}
        assert log.readings == 2


async def test_a_process_that_dies_while_it_tells_is_succeeded(redis):
    """Its lock ends, and another process tells Redis all of it."""
    log = Log()
    log.write(60)
    redis.ask("SET", "adyton:seeding", "a process that is gone", "PX", "1500")
    async with store_at(redis, log=log) as store:
        assert (await available(store))[0].left == 40


async def test_a_log_that_cannot_be_read_admits_nothing(redis):
    """Until it can be read again."""
    log, fails = Log(), [OSError("the database is away")] * 3

    def read():
        if fails:
            raise fails.pop()
        return log.read()

    log.write(60)
    memory = Memory(read)
    store = shared_store(redis.url, "one", memory)
    await store.start()
    assert (await available(store))[0].left == 40
    assert not fails
    await store.close()


async def test_places_of_a_process_that_is_gone_are_taken_back(redis):
    """At once if somebody says so, and otherwise when its signs of life end; those of the living stay."""
    async with store_at(redis, "one") as one, store_at(redis, "two") as two:
        assert isinstance(await one.charge([], 1, (), POOL), Charged)
        for _ in range(2):
            assert isinstance(await two.charge([], 1, (), POOL), Charged)
        assert isinstance(await one.charge([], 1, (), POOL), Full)
        two.storage.link._task.cancel()
        one.end_processes(["two"])
        assert isinstance(await one.charge([], 1, (), POOL), Charged)
        assert isinstance(await one.charge([], 1, (), POOL), Charged)
        assert isinstance(await one.charge([], 1, (), POOL), Full)


async def test_places_survive_a_redis_that_does_not(redis):
    """After an outage as many are taken as are under way, whatever was released or lost meanwhile."""
    async with store_at(redis, "one") as one, store_at(redis, "two") as two:
        leases = [(await one.charge([], 1, (), POOL)).lease for _ in range(2)]
        await two.charge([], 1, (), POOL)
        redis.freeze()
        lost = await asyncio.gather(*(one.charge([], 1, (), POOL) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, StoreUnavailable) for each in lost)
        one.release(leases.pop())
        redis.thaw()
        await available(one)
        await available(two)
        assert isinstance(await one.charge([], 1, (), POOL), Charged)
        assert isinstance(await two.charge([], 1, (), POOL), Full)
        redis.ask("FLUSHALL")
        await unavailable(one)
        await available(one)
        await available(two)
        assert isinstance(await two.charge([], 1, (), POOL), Full)


async def test_a_caller_that_goes_while_it_is_charged_spends_nothing(redis):
    """And leaves no place behind, whether its question had left already or not."""
    async with store_at(redis) as store:
        for wait in (0, 0, 0.0001, 0.0005, 0.001):
            charges = [asyncio.create_task(store.charge([HOUR], 1, (), POOL)) for _ in range(2)]
            await asyncio.sleep(wait)
            for charge in charges:
                charge.cancel()
            for outcome in await asyncio.gather(*charges, return_exceptions=True):
                if isinstance(outcome, Charged):
                    store.give_back([HOUR], 1, outcome.spent_at)
                    store.release(outcome.lease)
        await asyncio.sleep(2 * IDLE_SECONDS)
        assert (await store.states([HOUR]))[0].left == 100
        for _ in range(3):
            assert isinstance(await store.charge([], 1, (), POOL), Charged)


async def test_a_redis_that_forgot_the_script_is_taught_it_again(redis):
    """`SCRIPT FLUSH` costs nothing but a question."""
    async with store_at(redis) as store:
        await spend(store, 3)
        redis.ask("SCRIPT", "FLUSH")
        assert all(isinstance(each, Charged) for each in await spend(store, 3))
        assert (await store.states([HOUR]))[0].left == 94


async def test_a_closed_connection_is_opened_again(redis):
    """`CLIENT KILL`, as a proxy or an operator may do."""
    async with store_at(redis) as store:
        await spend(store, 5)
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.05)
        assert (await available(store))[0].left == 95


async def test_a_full_redis_admits_nothing(redis):
    """It refuses writes instead of forgetting; when there is room again, it counts."""
    async with store_at(redis) as store:
        await spend(store, 5)
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        await unavailable(store)
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        assert (await available(store))[0].left <= 95


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--maxmemory-policy", "allkeys-lru"], "allkeys-lru"),
        (["--maxmemory-policy", "volatile-ttl"], "volatile-ttl"),
        (["--cluster-enabled", "yes"], "cluster"),
        (["--replicaof", "127.0.0.1 1"], "replica"),
        (["--requirepass", "other"], "password"),
    ],
)
@pytest.mark.usefixtures("redis_binary")
async def test_a_redis_that_could_forget_or_decide_twice_is_refused(options, word):
    """In words, which hold no password."""
    redis, user = Redis(*options), ":a-secret@" if "--requirepass" in options else ""
    try:
        with pytest.raises(StoreUnfit, match=word) as refused:
            await Server.connect(Address(redis.url.replace("redis://", f"redis://{user}")))
        assert "a-secret" not in str(refused.value)
    finally:
        redis.remove()


def test_an_address_shows_no_password():
    """Neither when it is printed nor when it is wrong."""
    assert "secret" not in repr(Address("rediss://user:secret@host:1/2")) + str(Address("redis://:secret@host"))
    with pytest.raises(ValueError, match="redis://") as refused:
        Address("http://user:secret@host")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.usefixtures("redis_binary")
async def test_a_password_a_database_and_a_socket_are_used(tmp_path):
    """As the URL says."""
    redis = Redis("--requirepass", "se:cr@et", "--unixsocket", str(tmp_path / "s"))
    try:
        for url in (
            f"redis://:se%3Acr%40et@127.0.0.1:{redis.port}/3",
            f"unix://:se%3Acr%40et@{tmp_path / 's'}?db=4",
        ):
            store = shared_store(url, "one", Memory())
            await store.start()
            assert isinstance(await store.charge([HOUR], 1), Charged)
            await store.close()
        (each,) = [line for line in redis_keys(redis, "se:cr@et", 3) if "m:key" in line]
        assert each
    finally:
        redis.remove()


def redis_keys(redis, password, database):
    import socket  # noqa: PLC0415  used here alone

    with socket.create_connection(("127.0.0.1", redis.port), timeout=PATIENCE) as client:
        client.sendall(f"AUTH {password}\r\nSELECT {database}\r\nKEYS *\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 4 or b"m:key" not in answer:
            answer += client.recv(1 << 16)
        return answer.decode().splitlines()


async def test_a_clock_that_leaps_ahead_ends_no_window(redis):
    """Redis' wall clock is set an hour ahead and back again: the steady clocks of the processes bound it."""
    meter = Meter("steady", 5, Trailing(60))
    async with store_at(redis) as store:
        await spend(store, 5, meter)
        for leap in (3_600, 0, -3_600, 0, 7_200):
            store.storage.link.skew_us = leap * 1_000_000
            (outcome,) = await spend(store, 1, meter)
            assert isinstance(outcome, Refused)
            assert 58e9 < outcome.wait_ns < 61e9


async def test_a_wait_that_is_named_is_true(redis):
    """After it the same charge alone is admitted; a moment earlier it is not."""
    meter = Meter("waits", 10, Trailing(60))
    async with store_at(redis) as store:
        link = store.storage.link
        link._clock.latest = lambda: 0
        for cost in (4, 3, 3):
            await store.charge([meter], cost)
            link.skew_us += 7_000_000
        for cost in (1, 5, 8):
            refused = await store.charge([meter], cost)
            link.skew_us += refused.wait_ns // 1_000 - 500_000
            assert isinstance(await store.charge([meter], cost), Refused)
            link.skew_us += 500_000
            outcome = await store.charge([meter], cost)
            assert isinstance(outcome, Charged)
            store.give_back([meter], cost, outcome.spent_at)


async def test_a_key_is_bounded_and_ends_by_itself(redis):
    """However long and however much is charged: no key outgrows its ring, and none outlives its window by much."""
    meter = Meter("long", 10**12, Trailing(64))
    async with store_at(redis) as store:
        link = store.storage.link
        link._clock.latest = lambda: 0
        for _ in range(500):
            await store.charge([meter], 1000)
            link.skew_us += 330_000
        key = next(line for line in redis.ask("KEYS", "*m:long").split("\r\n") if line.endswith("m:long"))
        assert int(redis.ask("STRLEN", key).lstrip(":")) <= 36 + 68 * 24
        assert 60_000 < int(redis.ask("PTTL", key).lstrip(":")) < 80_000


async def test_a_process_that_was_replaced_on_its_connection_counts_no_longer(redis):
    """Redis may read late what a given-up session sent (zeromicro/go-zero#4072): it spends nothing, and takes no place."""
    async with store_at(redis) as store:
        link = store.storage.link
        marker = redis.ask("GET", "adyton:marker")
        late = {
            "m": marker, "g": marker.partition(":")[2], "p": "one", "s": "one:0", "t": 0, "h": 0,
            "ops": [["charge", 1, [[HOUR.name, 100, 3_600_000_000]], [], POOL.name, 3]],
        }  # fmt: skip
        server = await Server.connect(Address(redis.url))
        assert await server.run("count", json.dumps(late), 0) == -2
        late |= {"s": f"one:{link._session}", "m": "another run:of Redis"}
        assert await server.run("count", json.dumps(late), 0) == -1
        await server.close()
        assert (await store.states([HOUR]))[0].left == 100


async def test_every_key_of_a_meter_and_a_pool_ends(redis):
    """A key without an end locks its caller out for ever (alisaifee/limits#15, Tabcorp/redis-rate-limiter#1)."""
    meters = [HOUR, Meter("day", 9, Calendar("day", "Asia/Beirut")), Meter("month", 9, Calendar("month", "UTC"))]
    async with store_at(redis) as store:
        for _ in range(3):
            outcome = await store.charge(meters, 1, (), POOL)
        store.give_back(meters, 1, outcome.spent_at)
        await store.fill([Spending(meter._replace(name=f"{meter.name} filled"), 3, time.time_ns() // 1_000_000) for meter in meters])  # fmt: skip
        await store.states(meters)
        keys = [line for line in redis.ask("KEYS", "adyton:*").split("\r\n") if ":m:" in line or ":places:" in line]
        assert len(keys) == 2 * len(meters) + 1
        assert all(int(redis.ask("PTTL", key).lstrip(":")) > 0 for key in keys)


async def test_steady_use_below_the_limit_is_never_refused(redis):
    """However long it lasts: using a window does not prolong it (SandeepVashishtha/Eventra#8997)."""
    meter = Meter("steady", 10, Trailing(10))
    async with store_at(redis) as store:
        store.storage.link._clock.latest = lambda: 0
        for _ in range(300):
            store.storage.link.skew_us += 1_160_000
            assert isinstance(await store.charge([meter], 1), Charged)


async def test_more_than_one_round_trip_of_charges_at_once_are_all_decided(redis):
    """1,300 in one turn of the loop against a limit of 700: exactly 700 (raphaeldelio/redis-rate-limiter-java-example#1)."""
    meter = Meter("many", 700, Trailing(3600))
    async with store_at(redis) as store:
        outcomes = await asyncio.gather(*(store.charge([meter], 1) for _ in range(1_300)))
        assert sum(isinstance(each, Charged) for each in outcomes) == 700


async def test_a_place_is_given_up_once(redis):
    """Ending a request twice frees one place (bluetape4k/bluetape4k-projects#944)."""
    async with store_at(redis) as store:
        quotas = Quotas(store)
        holder = Holder((), concurrency=2)
        first, _ = await quotas.take_place(holder), await quotas.take_place(holder)
        first.finish()
        first.finish()
        await quotas.take_place(holder)
        with pytest.raises(TooManyAtOnce):
            await quotas.take_place(holder)


async def test_a_primary_that_becomes_a_replica_admits_nothing(redis):
    """A failover may leave a process on the old primary; it counts again where it is one."""
    async with store_at(redis) as store:
        await spend(store, 5)
        redis.ask("REPLICAOF", "127.0.0.1", "1")
        await unavailable(store)
        redis.ask("REPLICAOF", "NO", "ONE")
        assert (await available(store))[0].left <= 95


async def test_names_may_hold_anything(redis):
    """Quotes, line ends, percent signs and letters outside ASCII."""
    meters = [Meter(name, 5, Trailing(60)) for name in ('a"b', "a\nb\r\n", "%s%%", "ключ", "a:b:{c}", "\\u0000")]
    async with store_at(redis) as store:
        await store.charge(meters, 2)
        assert [state.left for state in await store.states(meters)] == [3] * len(meters)


@pytest.mark.parametrize("amount", [1, 1_000_000, 10**12])
async def test_large_amounts_are_counted_to_the_last_one(redis, amount):
    """Redis' numbers are floating: whole ones are exact far beyond any limit."""
    meter = Meter("large", amount, Trailing(3600))
    async with store_at(redis) as store:
        if amount > 1:
            await store.charge([meter], amount - 1)
        assert (await store.states([meter]))[0].left == 1
        assert isinstance(await store.charge([meter], 1), Charged)
        assert isinstance(await store.charge([meter], 1), Refused)


@pytest.mark.usefixtures("redis_binary")
async def test_a_user_of_redis_needs_no_more_than_the_docs_say():
    """docs/limits.md names the rights."""
    rights = re.search(r"A user needs `(.*?)` and\s+`(.*?)`", (ROOT / "docs" / "limits.md").read_text())
    redis = Redis()
    try:
        redis.ask("ACL", "SETUSER", "limits", "on", ">pass", *rights[1].split(), *rights[2].split())
        store = shared_store(redis.url.replace("redis://", "redis://limits:pass@"), "one", Memory())
        await store.start()
        assert isinstance(await store.charge([HOUR], 1, (), POOL), Charged)
        await store.close()
    finally:
        redis.remove()
