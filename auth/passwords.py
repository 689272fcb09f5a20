"""Checks people's passwords and hashes them, a few at once, with argon2id (RFC 9106) through passlib's API."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from passlib.hash import argon2

from auth.guessable import has_enough

MIN_CHARACTERS = 15
#: Nobody types more, and a stranger must not be able to make us hash more.
MAX_BYTES = 1024
_GENERATED_BYTES = 18
HASHES_AT_ONCE = 2
#: Steps of niceness: predictions come first, and a hash still gets a tenth of a processor that others want too.
STEPS_BACK = 10

#: RFC 9106's second choice: 64 MiB, three passes; with one lane, since several sign in at once.
_HASH = argon2.using(type="ID", memory_cost=64 * 1024, rounds=3, parallelism=1)


class WeakPassword(Exception):
    """The text cannot be a password; the message says which texts can."""


def check_password(password: str, *about: str) -> None:
    """Raises `WeakPassword` for a text that cannot be a password; `about` is what others know of the person."""
    if len(password) < MIN_CHARACTERS:
        raise WeakPassword(f"a password has at least {MIN_CHARACTERS} characters")
    if len(password.encode()) > MAX_BYTES or "\0" in password:
        raise WeakPassword(f"a password has at most {MAX_BYTES} bytes of UTF-8, and no NUL")
    if not has_enough(password, about):
        raise WeakPassword("the password is common or easily guessed: take several unrelated words")


def generate_password() -> str:
    """Returns a password with 144 random bits, for a person who is to change it."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


#: Hashing takes a tenth of a second of a core and 64 MiB: this process makes no more than two at once.
_SLOTS = threading.BoundedSemaphore(HASHES_AT_ONCE)


def hash_password(password: str) -> str:
    """Returns the argon2id hash of a password, with its salt and parameters, in the PHC string format."""
    with _SLOTS:
        return str(_HASH.hash(password))


def verify_password(password: str, digest: str) -> bool:
    """Whether the digest is that of the password."""
    with _SLOTS:
        return bool(_HASH.verify(password, digest))


def _step_back() -> None:
    """Lowers this thread's priority: two hashes at once would take two processors from the event loop."""
    if sys.platform == "linux":  # Elsewhere only whole processes have priorities.
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + STEPS_BACK)


class PasswordThreads:
    """Verifies the passwords of people who sign in, two at once; `scheme` hashes one that unknown names are held to."""

    def __init__(self, scheme: Any = _HASH) -> None:
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="passwords", initializer=_step_back)
        self._unused_digest = str(scheme.hash(generate_password()))

    async def verify(self, password: str, digest: str | None) -> bool:
        """Runs `verify_password` off the loop; without a digest it does the same work, and returns False."""
        if len(password.encode(errors="replace")) > MAX_BYTES or "\0" in password:
            password, digest = "", None
        is_right = await asyncio.get_running_loop().run_in_executor(
            self._threads, verify_password, password, digest or self._unused_digest
        )
        return is_right and digest is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
