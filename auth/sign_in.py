"""Signs people in: unknown names, wrong passwords and disabled people get the same work, words and slowness.

An attempt is counted, waits for its network's turn, and only then costs a query and a hash. A failing attempt writes
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
from auth.sign_in_failures import Attempt, Counter, SignInFailures, Tally
from auth.strangers import Strangers
from auth.turns import Turns
from db.database import Database
from db.events import add_event
from db.reach import EVERY_TENANT, LOOKUP
from db.tables import User
from db.users import failures_at, find_user, find_user_by_email, forget_failures, note_sign_in
from values.addresses import network_of, truncated
from values.subjects import Subject

#: Failures in a row that cost nothing, and the longest wait in seconds after more: from one network, and from all of
#: them together. A stranger elsewhere can slow a person's sign-in down, but hardly shut the person out.
FROM_ONE_ADDRESS = (5, 300)
FROM_ANYWHERE = (50, 30)
#: Attempts that may wait for a turn, of one network and in all; each keeps a connection open, and costs no work.
WAITING_PER_NETWORK = 256
WAITING_IN_ALL = 1024


class SignInRefused(Exception):
    """No person who may sign in has that name and that password."""


class SignIns:
    """The only way in for people. Use it on one event loop, and close it there."""

    def __init__(
        self, database: Database, keyring: Keyring, passwords: PasswordThreads, strangers: Strangers | None = None
    ) -> None:
        self._database = database
        self._strangers = strangers
        self._keyring = keyring
        self._passwords = passwords
        self._failures = SignInFailures(shares_strangers=strangers is not None)
        self._writer = FailureWriter(database, self._failures, strangers)
        self._recent = RecentFailures()
        queue = FairQueue[asyncio.Future[None]](self._recent, per_network=WAITING_PER_NETWORK, in_all=WAITING_IN_ALL)
        self._turns = Turns(queue, at_once=HASHES_AT_ONCE)
        self._under_way: set[asyncio.Task[User]] = set()

    async def sign_in(self, email: str, password: str, address: str) -> User:
        """Returns the person who signed in.

        Cancelled before its turn, the attempt does not count; cancelled later, it still runs to its end. Raises
        `SignInRefused`, `TooManyFailedSignIns`, `TooManySignIns` or `DatabaseUnavailable`.
        """
        attempt = self._failures.admit(self._counters(email, address), datetime.now(UTC))
        network = network_of(address)
        try:
            await self._turns.take(network)
        except BaseException:
            self._failures.withdraw(attempt)
            raise
        # The hash goes on in its thread even if the caller hangs up: until it is done, the turn is not free.
        work = asyncio.create_task(self._see_through(attempt, network, email, password))
        self._under_way.add(work)
        work.add_done_callback(self._forget_work)
        return await asyncio.shield(work)

    async def close(self) -> None:
        """Waits for the attempts under way, and writes the failures that are left."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._writer.close()

    def _counters(self, email: str, address: str) -> list[Counter]:
        """Returns the counters of an attempt; they keep a digest, since the name that was typed may be a password."""
        name = email.lower()
        here, anywhere = (f"{name}\n{truncated(address) or ''}", name)
        digest = self._keyring.keyed_digest
        return [
            Counter(digest("sign-in", here), *FROM_ONE_ADDRESS),
            Counter(digest("sign-in", anywhere), *FROM_ANYWHERE),
        ]

    async def _see_through(self, attempt: Attempt, network: str, email: str, password: str) -> User:
        try:
            user, is_right = await self._compare(attempt, email, password)
            is_in = user is not None and is_right and await asyncio.to_thread(self._let_in, user, attempt)
        except BaseException:
            # No password was compared, or the right one was and the sign-in could not be written: no guess failed.
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
        """Returns the person of that name, and whether it is their password; this ends the turn."""
        try:
            user = await self._look_up(attempt, email)
            return user, await self._passwords.verify(password, user.password_digest if user else None)
        finally:
            self._turns.end()

    async def _look_up(self, attempt: Attempt, email: str) -> User | None:
        """Returns the person of that name. Raises `TooManyFailedSignIns` if other processes' failures demand a wait."""
        moment = self._failures.moment()
        user, stored = await asyncio.to_thread(self._read, attempt, email)
        if self._strangers is not None:
            # Asked for every name: how long that takes must not say whether the name exists.
            of_strangers = await self._strangers.at([counter.digest for counter in attempt.counters])
            stored = stored if user is not None else dict(of_strangers)
        self._failures.learn(attempt, stored, moment)
        self._failures.check(attempt, datetime.now(UTC))
        return user

    def _read(self, attempt: Attempt, email: str) -> tuple[User | None, dict[str, Tally]]:
        with self._database.reading(LOOKUP) as session:
            rows = failures_at(session, [counter.digest for counter in attempt.counters], attempt.at)
            stored = {row.counter: Tally(row.count, row.last_at) for row in rows}
            return find_user_by_email(session, email, tenant_id=EVERY_TENANT), stored

    def _let_in(self, user: User, attempt: Attempt) -> bool:
        """Writes that the person signed in; returns False if they may not."""
        with self._database.transaction(EVERY_TENANT) as session:
            if not _may_sign_in(session, user):
                return False
            forget_failures(session, [counter.digest for counter in attempt.counters])
            note_sign_in(session, user.id, datetime.now(UTC), tenant_id=EVERY_TENANT)
            actor = Subject.of_user(user.id)
            add_event(
                session, actor=actor, verb="user.sign-in", object_id=user.id, tenant_id=user.tenant_id, details={}
            )
        return True

    def _forget_work(self, work: asyncio.Task[User]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            # Its caller may have hung up: asyncio would then log that nobody asked for the exception.
            work.exception()


def _may_sign_in(session: Session, user: User) -> bool:
    """Whether the person stands as they did when they were read: not disabled since, and with the same password."""
    found = find_user(session, user.id, tenant_id=EVERY_TENANT)
    if found is None:
        return False
    current, tenant = found
    is_same = (current.status, current.generation) == ("active", user.generation)
    return is_same and (tenant is None or tenant.status == "active")
