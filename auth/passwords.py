"""People's passwords: what may be one, and argon2id (RFC 9106) through passlib's API, bounded in how much at once."""

from __future__ import annotations

import asyncio
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

from passlib.hash import argon2

from auth.guessable import has_enough

MIN_CHARACTERS = 15
#: Nobody types more, and hashing more would be work that a stranger gives us.
MAX_BYTES = 1024
_GENERATED_BYTES = 18
HASHES_AT_ONCE = 2
MAX_WAITING = 32

#: RFC 9106's second choice: 64 MiB, three passes; with one lane, since several sign in at once.
_HASH = argon2.using(type="ID", memory_cost=64 * 1024, rounds=3, parallelism=1)


class WeakPassword(Exception):
    """What was given cannot be a password; the words say what can."""


class TooManySignIns(Exception):
    """More people are signing in than can be answered soon."""


def check_password(password: str, *about: str) -> None:
    """Raises `WeakPassword`; `about` is what others know of the person, which is easily guessed."""
    if len(password) < MIN_CHARACTERS:
        raise WeakPassword(f"a password has at least {MIN_CHARACTERS} characters")
    if len(password.encode()) > MAX_BYTES or "\0" in password:
        raise WeakPassword(f"a password has at most {MAX_BYTES} bytes of UTF-8, and no NUL")
    if not has_enough(password, about):
        raise WeakPassword("the password is common or easily guessed: take several unrelated words")


def generate_password() -> str:
    """A password with 144 random bits, for somebody who is to change it."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


#: Hashing takes a tenth of a second of a core and 64 MiB: no more than two at once, whoever asks.
_SLOTS = threading.BoundedSemaphore(HASHES_AT_ONCE)


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and parameters, in the PHC string format."""
    with _SLOTS:
        return str(_HASH.hash(password))


def verify_password(password: str, digest: str) -> bool:
    """Whether the digest is the password's."""
    with _SLOTS:
        return bool(_HASH.verify(password, digest))


class PasswordThreads:
    """Verifies the passwords of those who sign in: two at once, some waiting, and the others are refused."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys = hash_password(generate_password())

    async def verify(self, password: str, digest: str | None) -> bool:
        """`verify_password`, off the loop; for None, the same work for nothing. Raises `TooManySignIns`."""
        if len(password.encode(errors="replace")) > MAX_BYTES or "\0" in password:
            password, digest = "", None
        if self._waiting >= MAX_WAITING:
            raise TooManySignIns
        self._waiting += 1
        try:
            is_right = await asyncio.get_running_loop().run_in_executor(
                self._threads, verify_password, password, digest or self._nobodys
            )
        finally:
            self._waiting -= 1
        return is_right and digest is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
