"""What may be a password, and what it costs to find out."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest
from passlib.hash import argon2

from auth.guessable import has_enough
from auth.passwords import (
    HASHES_AT_ONCE,
    MIN_CHARACTERS,
    STEPS_BACK,
    PasswordThreads,
    WeakPassword,
    check_password,
    generate_password,
)

ABOUT = "jane.doe@bank.example"

GUESSABLE = [
    "the quick brown fox jumps over", "tobeornottobethatisthequestion", "Correct Horse Battery Staple!", "lorem-ipsum-dolor-sit",
    "passwordpassword", "passwordpassword1", "P4$$w0rdP4$$w0rd", "p a s s w o r d 1 2 3 4 5 6", "Password2024!!!!", "Summer2024Summer2024",
    "aaaaaaaaaaaaaaaa", "abababababababab", "abcabcabcabcabcabc", "111222333444555", "1234567890123456", "zyxwvutsrqponmlk",
    "qwertyuiopasdfgh", "1qaz2wsx3edc4rfv", "a1b2c3d4e5f6g7h8", "monkeydragonsunshine", "monkeydragonsunshinemaster", "letmeinletmeinletmein",
    "jane.doe@bank.example", "janedoejanedoe12", "JaneDoe-Bank-2024", "adyton password 1", "adytonadytonadyton", "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
]  # fmt: skip
GOOD = [
    "purple gatekeeper sings badly", "violet otters juggle at noon", "GtqX7vLmzPq4e-R2", "Schnelle Igel essen Kaffee",
    "日本語のパスワードを十五文字以上で書く", "my otter jane likes green tea",
]  # fmt: skip


@pytest.mark.parametrize("password", GUESSABLE)
def test_what_is_common_is_no_password(password):
    """Common passwords, phrases and walks, the person's and the service's names: repeated, joined, dressed up."""
    with pytest.raises(WeakPassword, match="common"):
        check_password(password, ABOUT)


@pytest.mark.parametrize("password", GOOD)
def test_what_is_not_common_is_one(password):
    """Several unrelated words, in any script, or random characters."""
    check_password(password, ABOUT)


def test_a_password_that_is_made_is_one():
    """Nobody is given one that would be refused."""
    for _ in range(500):
        check_password(generate_password(), ABOUT)


def test_a_password_is_neither_short_nor_endless():
    """15 characters at least, 1,024 bytes at most, and no NUL."""
    for password in ("GtqX7vLmzPq4eR"[: MIN_CHARACTERS - 1], "é" * 513, "violet otters \0juggle"):
        with pytest.raises(WeakPassword, match=r"characters|bytes"):
            check_password(password, ABOUT)


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priorities are a process's")
async def test_hashing_yields_to_whoever_predicts():
    """The threads that hash have a lower priority than the event loop's, however many signed in."""
    passwords = PasswordThreads(argon2.using(type="ID", memory_cost=64, rounds=1, parallelism=1))
    for _ in range(HASHES_AT_ONCE + 1):
        assert not await passwords.verify("guess", None)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("passwords")]
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    behind = min(own + STEPS_BACK, 19)
    assert {os.getpriority(os.PRIO_PROCESS, thread.native_id) for thread in threads} == {behind}
    passwords.close()


LETTERED = "4@8({[<36 9!|1/0$5+7%2"
SHAPES = {
    "letters as digits and signs": LETTERED, "one character": "a", "two": "ab", "doubles": "aabbccddeeffgghh", "a walk": "1234567890",
    "a common password": "password", "several": "password1monkeyqwertydragons", "a phrase": "the quick brown fox jumps over the lazy dog",
    "a gap": "aaaab", "a sign that grows": "\ufdfa", "accents": "e\u0301", "the person": ABOUT, "random": generate_password(),
    "beginnings": "1234qwer1q2w", "years": "1999200020012002",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_judging_a_password_costs_next_to_nothing(shape):
    """Milliseconds at the most for the longest there is, whatever is in it: the interpreter is everybody's meanwhile."""
    password = (SHAPES[shape] * 1024).encode()[:1024].decode(errors="ignore")
    has_enough(password, [ABOUT])

    def seconds():
        started = time.thread_time()
        has_enough(password, [ABOUT])
        return time.thread_time() - started

    assert min(seconds() for _ in range(5)) < 0.01
