"""People signing in: the same work, words and slowness for somebody unknown, a wrong password and a disabled person."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from auth.keyring import Keyring
from auth.passwords import PasswordThreads
from db.database import Database
from db.events import add_event
from db.reach import EVERY_TENANT, LOOKUP
from db.tables import User
from db.users import count_failure, failures_at, find_user, find_user_by_email, forget_failures, note_sign_in
from values.addresses import truncated
from values.subjects import Subject

#: Failures in a row that cost nothing, and the longest wait after more: for one address, and for all of them together.
#: A stranger can slow down whom he pretends to be from elsewhere, but hardly shut them out.
FROM_ONE_ADDRESS = (5, 300)
FROM_ANYWHERE = (50, 30)


class SignInRefused(Exception):
    """Nobody of that name has that password, or nobody who may sign in."""


class TooManyFailedSignIns(Exception):
    """So many attempts failed in a row that the next one has to wait."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class SignIns:
    """The one way in for people."""

    def __init__(self, database: Database, keyring: Keyring, passwords: PasswordThreads) -> None:
        self._database = database
        self._keyring = keyring
        self._passwords = passwords

    async def sign_in(self, email: str, password: str, address: str) -> User:
        """The person. Raises `SignInRefused`, `TooManyFailedSignIns`, `TooManySignIns` or `DatabaseUnavailable`."""
        places = self._places(email, address)
        user = await asyncio.to_thread(self._begin, email, places)
        if not await self._passwords.verify(password, user.password_digest if user else None):
            raise SignInRefused
        return await asyncio.to_thread(self._end, user, places)

    def _places(self, email: str, address: str) -> dict[str, tuple[int, int]]:
        """What failures are counted under: what was typed for a name may be a password, and is kept as a digest."""
        name = email.lower()
        here, anywhere = (f"{name}\n{truncated(address) or ''}", name)
        digest = self._keyring.keyed_digest
        return {digest("sign-in", here): FROM_ONE_ADDRESS, digest("sign-in", anywhere): FROM_ANYWHERE}

    def _begin(self, email: str, places: dict[str, tuple[int, int]]) -> User | None:
        """Counts the attempt as failed until it succeeds: many at once must not all be the first."""
        now = datetime.now(UTC)
        with self._database.transaction(LOOKUP) as session:
            for place, failures in failures_at(session, list(places), now).items():
                free, longest = places[place]
                wait = min(2 ** min(failures.count - free, 20), longest) if failures.count >= free else 0
                since = (now - failures.last_at).total_seconds()
                if since < wait:
                    raise TooManyFailedSignIns(math.ceil(wait - since))
            for place in places:
                count_failure(session, place, now)
            return find_user_by_email(session, email, tenant_id=EVERY_TENANT)

    def _end(self, user: User | None, places: dict[str, tuple[int, int]]) -> User:
        with self._database.transaction(EVERY_TENANT) as session:
            if user is None or not _may_sign_in(session, user):
                raise SignInRefused
            forget_failures(session, list(places))
            note_sign_in(session, user.id, datetime.now(UTC), tenant_id=EVERY_TENANT)
            actor = Subject.of_user(user.id)
            add_event(
                session, actor=actor, verb="user.sign-in", object_id=user.id, tenant_id=user.tenant_id, details={}
            )
        return user


def _may_sign_in(session: Session, user: User) -> bool:
    """As they stand now: a password may have been changed, or a person disabled, since it was looked at."""
    found = find_user(session, user.id, tenant_id=EVERY_TENANT)
    if found is None:
        return False
    current, tenant = found
    is_same = (current.status, current.generation) == ("active", user.generation)
    return is_same and (tenant is None or tenant.status == "active")
