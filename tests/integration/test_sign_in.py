"""Signing in against a real database: what an attempt costs, what it leaves, and who hears of it.

The hashes are cheap ones, since it is about everything else.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager, contextmanager

import pytest
from passlib.hash import argon2
from sqlalchemy import event, select, text, update

from auth.passwords import PasswordThreads
from auth.sign_in import WAITING_PER_NETWORK, SignInRefused, SignIns
from auth.sign_in_failures import TooManyFailedSignIns
from auth.turns import TooManySignIns
from db.database import Database, DatabaseUnavailable
from db.reach import EVERY_TENANT
from db.tables import SignInFailures, User
from db.tables import SignInFailures as FailureRow
from program.strangers import StrangersInRedis
from quotas.shared.seeding import Memory
from quotas.strategy import shared_store
from tests.support.people import PASSWORD, person

pytestmark = pytest.mark.anyio

CHEAP = argon2.using(type="ID", memory_cost=64, rounds=1, parallelism=1)
FLOOD, ELSEWHERE = "198.51.100.7", "192.0.2.1"


@pytest.fixture
def known(any_site):
    """A person's name, whose password is cheap to compare."""
    email = person(any_site)
    with any_site.database.transaction(EVERY_TENANT) as session:
        session.scalars(select(User).where(User.email == email)).one().password_digest = CHEAP.hash(PASSWORD)
    return email


@asynccontextmanager
async def signing_in(site, database=None, strangers=None):
    """What one process has for it."""
    passwords = PasswordThreads(CHEAP)
    sign_ins = SignIns(database or site.database, site.keyring, passwords, strangers)
    try:
        yield sign_ins
    finally:
        await sign_ins.close()
        passwords.close()


async def fails(sign_ins, name, address=FLOOD, password="wrong") -> type[Exception]:
    """How an attempt is refused."""
    with pytest.raises((SignInRefused, TooManyFailedSignIns, TooManySignIns, DatabaseUnavailable)) as refused:
        await sign_ins.sign_in(name, password, address)
    return refused.type


@asynccontextmanager
async def flood(sign_ins, connections, address_of=lambda _: FLOOD):
    """Connections that fail to sign in without pause, each time under another name; yields how they were refused."""
    refusals = []

    async def connection(number):
        while True:
            refusals.append(await fails(sign_ins, f"{number}-{len(refusals)}@example.com", address_of(number)))
            # One that is refused without any work would never let go of the loop.
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(connection(number)) for number in range(connections)]
    await asyncio.sleep(0)
    try:
        yield refusals
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def counts(site) -> list[int]:
    with site.database.reading(EVERY_TENANT) as session:
        return sorted(session.scalars(select(SignInFailures.count)))


async def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@contextmanager
def statements_of(database):
    """What is sent to the database meanwhile, without the values."""
    sent = []

    def remember(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", remember)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", remember)


async def test_a_failing_attempt_writes_nothing_and_is_the_same_for_every_name(any_site, known):
    """The same statements, of which none writes or locks, for a name that exists and for one that does not."""
    async with signing_in(any_site) as sign_ins:
        sent = {}
        for name in (known, "made-up@example.com"):
            with statements_of(any_site.database) as sent[name]:
                assert await fails(sign_ins, name) is SignInRefused
        assert sent[known] == sent["made-up@example.com"]
        assert len(sent[known]) >= 2
        assert not [each for each in sent[known] if re.search("INSERT|UPDATE|DELETE|IMMEDIATE", each)]


async def test_the_right_person_gets_in_from_behind_a_flood_and_from_elsewhere(any_site, known):
    """64 connections fail under made-up names: from their address and from another one the right password opens."""
    async with signing_in(any_site) as sign_ins, flood(sign_ins, 64) as refusals:
        await until(lambda: len(refusals) > 64)
        for address in (ELSEWHERE, FLOOD, ELSEWHERE):
            assert (await sign_ins.sign_in(known, PASSWORD, address)).email == known
        assert set(refusals) == {SignInRefused}
    assert counts(any_site) == []


async def test_a_flood_from_one_64_is_one_network(any_site, known):
    """However many addresses of it there are, they share its places, and another network's person gets in."""
    async with (
        signing_in(any_site) as sign_ins,
        flood(sign_ins, WAITING_PER_NETWORK + 10, lambda number: f"2001:db8::{number:x}") as refusals,
    ):
        await until(lambda: TooManySignIns in refusals)
        assert (await sign_ins.sign_in(known, PASSWORD, "2001:db8:0:1::1")).email == known


async def test_a_flood_under_an_existing_name_is_slowed_and_told_to_other_processes(any_site, known):
    """Five are compared; the other process refuses the next, the right password too; from elsewhere it opens for all."""
    async with signing_in(any_site) as one, signing_in(any_site) as other:
        refusals = await asyncio.gather(*(fails(one, known) for _ in range(64)))
        assert refusals.count(SignInRefused) == 5
        assert refusals.count(TooManyFailedSignIns) == 59
        await until(lambda: counts(any_site) == [5, 5])
        with any_site.database.transaction(EVERY_TENANT) as session:
            # As a third process would add to it: the wait is minutes now.
            session.execute(update(SignInFailures).values(count=20))
        assert await fails(other, known, password=PASSWORD) is TooManyFailedSignIns
        assert (await other.sign_in(known, PASSWORD, ELSEWHERE)).email == known
        assert counts(any_site) == [20], "at the flood's network they still count"


async def test_what_one_process_forgot_is_forgotten_by_the_others(any_site, known):
    """Somebody signs in there: here, too, their next five failures are free."""
    async with signing_in(any_site) as one, signing_in(any_site) as other:
        for _ in range(4):
            assert await fails(one, known) is SignInRefused
        await until(lambda: counts(any_site) == [4, 4])
        await other.sign_in(known, PASSWORD, FLOOD)
        assert [await fails(one, known) for _ in range(5)] == [SignInRefused] * 5


async def test_what_failed_is_written_when_the_program_ends(any_site, known):
    """Also what failed a moment before: after a restart, the name is as slow as before."""
    async with signing_in(any_site) as sign_ins:
        for _ in range(5):
            await fails(sign_ins, known)
    assert counts(any_site) == [5, 5]
    async with signing_in(any_site) as sign_ins:
        for _ in range(5):
            await fails(sign_ins, known, "203.0.113.9")
    assert counts(any_site) == [5, 5, 10]


async def test_who_is_gone_before_their_turn_has_not_tried(any_site, known):
    """Twenty guesses are given up in the queue: the right password opens, and nothing is counted."""
    async with signing_in(any_site) as sign_ins, flood(sign_ins, 20):
        gone = [asyncio.create_task(sign_ins.sign_in(known, "wrong", FLOOD)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        assert (await sign_ins.sign_in(known, PASSWORD, FLOOD)).email == known
    assert counts(any_site) == []


async def test_who_is_gone_once_it_is_their_turn_has_tried(any_site, known):
    """Nobody guesses for nothing by hanging up before the answer."""
    async with signing_in(any_site) as sign_ins:
        gone = [asyncio.create_task(sign_ins.sign_in(known, "wrong", FLOOD)) for _ in range(2)]
        # One tick to ask for a turn, which is free.
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        results = await asyncio.gather(*gone, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert counts(any_site) == [2, 2]


async def test_while_the_database_is_away_nobody_fails(site, tmp_path):
    """Twenty attempts, right and wrong, get that it is away; when it is back, the right password opens at once."""
    database, away = Database(site.settings.database_url), tmp_path / "away.db"
    known = person(site)
    site.database.dispose()
    async with signing_in(site, database) as sign_ins:
        database.dispose()
        file = database.path.rename(away)
        for name in (known, "made-up@example.com") * 10:
            assert await fails(sign_ins, name) is DatabaseUnavailable
        database.dispose()
        file.rename(database.path)
        assert (await sign_ins.sign_in(known, PASSWORD, FLOOD)).email == known
    assert counts(site) == []
    database.dispose()


async def test_what_cannot_be_written_is_written_later(site, caplog):
    """Attempts fail all the same while the table takes nothing, and they count when it does."""
    known = person(site)
    async with signing_in(site) as sign_ins:
        execute(site, "CREATE TRIGGER full BEFORE INSERT ON sign_in_failures BEGIN SELECT RAISE(ABORT, 'full'); END")
        assert await fails(sign_ins, known) is SignInRefused
        await until(lambda: "were not written" in caplog.text)
        assert await fails(sign_ins, known) is SignInRefused
        execute(site, "DROP TRIGGER full")
        await until(lambda: counts(site) == [2, 2])


def execute(site, statement):
    with site.database.transaction(EVERY_TENANT) as session:
        session.execute(text(statement))


async def test_another_process_knows_of_failures_whether_or_not_the_name_exists(site, redis):
    """With Redis: else the slowness of one process, and not of the other, would say which names exist."""
    names = [person(site), "nobody@example.com"]
    remembered = []
    for number in range(2):
        store = shared_store(redis.url, f"process-{number}", Memory())
        await store.start()
        async with signing_in(site, strangers=StrangersInRedis(store)) as sign_ins:
            for name in names:
                for _ in range(5 if number == 0 else 1):
                    await fails(sign_ins, name)
                tallies = [sign_ins._failures._failed[each.digest] for each in sign_ins._counters(name, FLOOD)]
                remembered.append([tally.stored + tally.own for tally in tallies])
        await store.close()
    first, second = remembered[:2], remembered[2:]
    assert first == [[5, 5], [5, 5]]
    assert all(least >= 5 for tallies in second for least in tallies)
    assert is_unknown_to(site, "nobody@example.com")


def is_unknown_to(site, name):
    """Whether the database knows nothing of a name that does not exist: strangers could fill it."""
    with site.database.reading(EVERY_TENANT) as session:
        digests = {site.keyring.keyed_digest("sign-in", each) for each in (name, f"{name}\n{FLOOD}")}
        return not digests & set(session.scalars(select(FailureRow.counter)))
