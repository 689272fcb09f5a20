"""What is remembered of callers, how much, and until when."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import event

from auth.callers import Callers
from auth.directory import Directory
from auth.signing_keys import SigningKeys
from auth.tokens import LIFE_SECONDS, Tokens
from db.keys import credentials_of
from db.reach import EVERY_TENANT
from db.tables import Change
from values.subjects import Subject

pytestmark = pytest.mark.anyio

ROOM = 10


class Clock:
    now = time.time()

    def __call__(self) -> float:
        return self.now


class Remembering:
    """A directory with little room, and how many statements its look-ups take."""

    def __init__(self, site) -> None:
        self.site, self.clock = site, Clock()
        self.tokens = Tokens(SigningKeys(site.database, site.keyring))
        callers = Callers(site.database, site.keyring, self.tokens, has_people=True)
        self.directory = Directory(callers, site.keyring, now=self.clock, max_remembered=ROOM)
        self.follow()
        self._statements = 0
        event.listen(site.database.engine, "before_cursor_execute", self._count)

    def follow(self, *changes) -> None:
        self.directory.follow(changes, time.monotonic())

    def token(self, issued) -> bytes:
        with self.site.database.reading(EVERY_TENANT) as session:
            (found,) = credentials_of(session, issued.key.id, tenant_id=EVERY_TENANT)
        raw_token, _ = self.tokens.issue(
            subject=Subject.of_key(issued.key.id), credential=found.secret.id, scope="predict",
            not_after=float("inf"),
        )  # fmt: skip
        return raw_token.encode()

    async def costs(self, find, credential) -> bool:
        """Whether the caller is known, and had to be read."""
        self.follow()
        before = self._statements
        assert await find(credential) is not None
        return self._statements > before

    def _count(self, *_) -> None:
        self._statements += 1


@pytest.fixture
def remembering(site):
    made = Remembering(site)
    yield made
    made.directory.close()


async def test_tokens_push_out_no_key(site, remembering):
    """However many are used: the tokens that end first make room, and every key is still known without a query."""
    keys = [site.issue() for _ in range(ROOM - 2)]
    directory = remembering.directory
    for issued in keys:
        assert await remembering.costs(directory.find_key, issued.raw_key.encode())
    tokens = [remembering.token(keys[0]) for _ in range(3 * ROOM)]
    for token in tokens:
        assert await remembering.costs(directory.find_token, token)
    for issued in keys:
        assert not await remembering.costs(directory.find_key, issued.raw_key.encode())
    assert not await remembering.costs(directory.find_token, tokens[-1])


async def test_tokens_that_have_ended_are_forgotten(site, remembering):
    """With the next caller who is remembered; nothing is left of them."""
    issued, directory = site.issue(), remembering.directory
    for _ in range(ROOM // 2):
        await remembering.costs(directory.find_token, remembering.token(issued))
    assert len(directory._remembered) == ROOM // 2
    remembering.clock.now = time.time() + LIFE_SECONDS + 1
    await remembering.costs(directory.find_key, issued.raw_key.encode())
    assert len(directory._remembered) == 1
    assert directory._token_ends == []
    assert sum(map(len, directory._handles.values())) == 2


async def test_where_changes_were_missed_nobody_is_remembered(site, remembering):
    """A change of the kind that names nobody in particular has everybody read again."""
    issued, directory = site.issue(), remembering.directory
    assert await remembering.costs(directory.find_key, issued.raw_key.encode())
    assert not await remembering.costs(directory.find_key, issued.raw_key.encode())
    remembering.follow(*(Change(number=1, kind=kind, object_id="") for kind in ("key", "plan", "models")))
    assert await remembering.costs(directory.find_key, issued.raw_key.encode())
