"""People signing in: the same work, words and slowness for somebody unknown, a wrong password and a disabled person.

An attempt is counted, waits for its network's turn, and only then costs a query and a hash. A failing one writes
nothing while its caller waits.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from auth.failure_writer import FailureWriter
from auth.fair_queue import FairQueue, RecentFailures
from auth.keyring import Keyring
from auth.passwords import HASHES_AT_ONCE, PasswordThreads
from auth.sign_in_failures import Attempt, Place, SignInFailures, Tally
from auth.turns import Turns
from db.database import Database
from db.events import add_event
from db.reach import EVERY_TENANT, LOOKUP
from db.tables import User
from db.users import failures_at, find_user, find_user_by_email, forget_failures, note_sign_in
from values.addresses import place_of, truncated
from values.subjects import Subject

#: Failures in a row that cost nothing, and the longest wait after more: for one address, and for all of them together.
#: A stranger can slow down whom he pretends to be from elsewhere, but hardly shut them out.
FROM_ONE_ADDRESS = (5, 300)
FROM_ANYWHERE = (50, 30)
#: Who may wait for a turn, of one network and in all: a few connections each, and nothing is done for them meanwhile.
WAITING_PER_NETWORK = 256
WAITING_IN_ALL = 1024


class SignInRefused(Exception):
    """Nobody of that name has that password, or nobody who may sign in."""


class SignIns:
    """The one way in for people; used on one event loop, and closed on it."""

    def __init__(self, database: Database, keyring: Keyring, passwords: PasswordThreads) -> None:
        self._database = database
        self._keyring = keyring
        self._passwords = passwords
        self._failures = SignInFailures()
        self._writer = FailureWriter(database, self._failures)
        self._recent = RecentFailures()
        queue = FairQueue[asyncio.Future[None]](self._recent, per_network=WAITING_PER_NETWORK, in_all=WAITING_IN_ALL)
        self._turns = Turns(queue, at_once=HASHES_AT_ONCE)
        self._under_way: set[asyncio.Task[User]] = set()

    async def sign_in(self, email: str, password: str, address: str) -> User:
        """The person. Raises `SignInRefused`, `TooManyFailedSignIns`, `TooManySignIns` or `DatabaseUnavailable`.

        A caller who is cancelled while waiting for a turn has not tried; later, the attempt is seen through.
        """
        attempt = self._failures.admit(self._places(email, address), datetime.now(UTC))
        network = place_of(address)
        try:
            await self._turns.take(network)
        except BaseException:
            self._failures.withdraw(attempt)
            raise
        # The hash goes on in its thread whoever hangs up: until it is done, the turn is not free.
        work = asyncio.create_task(self._see_through(attempt, network, email, password))
        self._under_way.add(work)
        work.add_done_callback(self._forget_work)
        return await asyncio.shield(work)

    async def close(self) -> None:
        """Sees the attempts under way through, and writes down what failed."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._writer.close()

    def _places(self, email: str, address: str) -> list[Place]:
        """What failures are counted under: what was typed for a name may be a password, and is kept as a digest."""
        name = email.lower()
        here, anywhere = (f"{name}\n{truncated(address) or ''}", name)
        digest = self._keyring.keyed_digest
        return [Place(digest("sign-in", here), *FROM_ONE_ADDRESS), Place(digest("sign-in", anywhere), *FROM_ANYWHERE)]

    async def _see_through(self, attempt: Attempt, network: str, email: str, password: str) -> User:
        try:
            user, is_right = await self._compare(attempt, email, password)
            is_in = user is not None and is_right and await asyncio.to_thread(self._let_in, user, attempt)
        except BaseException:
            # Nothing was compared, or it was right and could not be written: no guess failed.
            self._failures.withdraw(attempt)
            raise
        if user is not None and is_in:
            self._failures.forget(attempt)
            return user
        self._failures.fail(attempt, datetime.now(UTC), is_known=user is not None)
        self._recent.note(network)
        self._writer.wake()
        raise SignInRefused

    async def _compare(self, attempt: Attempt, email: str, password: str) -> tuple[User | None, bool]:
        """The person of that name, and whether it is their password; that is what the turn was for."""
        try:
            user = await self._look_up(attempt, email)
            return user, await self._passwords.verify(password, user.password_digest if user else None)
        finally:
            self._turns.end()

    async def _look_up(self, attempt: Attempt, email: str) -> User | None:
        """The person of that name; raises `TooManyFailedSignIns` if other processes know that it has to wait."""
        moment = self._failures.moment()
        user, stored = await asyncio.to_thread(self._read, attempt, email)
        self._failures.learn(attempt, stored, moment)
        self._failures.check(attempt, datetime.now(UTC))
        return user

    def _read(self, attempt: Attempt, email: str) -> tuple[User | None, dict[str, Tally]]:
        with self._database.reading(LOOKUP) as session:
            rows = failures_at(session, [place.digest for place in attempt.places], attempt.at)
            stored = {row.place: Tally(row.count, row.last_at) for row in rows}
            return find_user_by_email(session, email, tenant_id=EVERY_TENANT), stored

    def _let_in(self, user: User, attempt: Attempt) -> bool:
        """Writes that the person signed in; whether they may."""
        with self._database.transaction(EVERY_TENANT) as session:
            if not _may_sign_in(session, user):
                return False
            forget_failures(session, [place.digest for place in attempt.places])
            note_sign_in(session, user.id, datetime.now(UTC), tenant_id=EVERY_TENANT)
            actor = Subject.of_user(user.id)
            add_event(
                session, actor=actor, verb="user.sign-in", object_id=user.id, tenant_id=user.tenant_id, details={}
            )
        return True

    def _forget_work(self, work: asyncio.Task[User]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            # Its caller may have hung up, and asyncio would say that nobody asked for its exception.
            work.exception()


def _may_sign_in(session: Session, user: User) -> bool:
    """As they stand now: a password may have been changed, or a person disabled, since it was looked at."""
    found = find_user(session, user.id, tenant_id=EVERY_TENANT)
    if found is None:
        return False
    current, tenant = found
    is_same = (current.status, current.generation) == ("active", user.generation)
    return is_same and (tenant is None or tenant.status == "active")
