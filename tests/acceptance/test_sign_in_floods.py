"""Floods of failing sign-ins: nobody else is refused or kept out, and nothing is left of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import func, select

from db.reach import EVERY_TENANT
from db.tables import SignInFailures
from tests.support.people import person, sign_in
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

FLOOD, ELSEWHERE = "198.51.100.7", "192.0.2.1"
#: More than could wait at all, once: each that is compared costs a tenth of a second of a processor.
CONNECTIONS = 34


def client_at(app, address):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://adyton")


@asynccontextmanager
async def running(work):
    """The work, until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def flood(client, answers, connections=CONNECTIONS):
    """As many connections as that, which fail under made-up names without pause."""

    async def connection(number):
        while True:
            name = f"{number}-{len(answers)}@example.com"
            answers.append((await sign_in(client, name, "not their password")).status_code)

    await asyncio.gather(*(connection(number) for number in range(connections)))


async def predict(client, key, answers):
    while True:
        answers.append((await client.post("/predict", json=IRIS, headers={"X-API-Key": key})).status_code)
        await asyncio.sleep(0.005)


async def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def rows(site) -> int:
    with site.database.reading(EVERY_TENANT) as session:
        return session.scalar(select(func.count()).select_from(SignInFailures))


async def test_a_flood_of_made_up_names_keeps_nobody_out_and_leaves_nothing(site):
    """Predictions are answered; the right person gets a token, from the flood's own address and from another one."""
    known, key, predictions, failures = person(site), site.key(), [], []
    async with (
        site.client() as client,
        client_at(client.app, FLOOD) as behind,
        client_at(client.app, ELSEWHERE) as elsewhere,
        running(predict(client, key, predictions)),
        running(flood(behind, failures)),
    ):
        await until(lambda: failures)
        waiting = asyncio.create_task(sign_in(behind, known))
        before = len(failures)
        assert (await sign_in(elsewhere, known)).status_code == 200
        assert len(failures) - before < CONNECTIONS // 2, "the flood had its turns between, and no more"
        assert (await waiting).status_code == 200
    assert set(failures) == {400}
    assert set(predictions) == {200}
    assert rows(site) == 0


async def test_a_person_changes_their_password_during_a_flood(site):
    """It is the same way in; the new password opens, though whoever floods shares the address."""
    known, failures = person(site), []
    async with site.client() as client, client_at(client.app, FLOOD) as behind:
        token = (await sign_in(behind, known)).json()["access_token"]
        async with running(flood(behind, failures, connections=4)):
            await until(lambda: failures)
            change = {"current_password": "plain words for tests 1", "new_password": "quite other words, four of them"}
            headers = {"Authorization": f"Bearer {token}"}
            assert (await behind.post("/auth/password", json=change, headers=headers)).status_code == 204
            assert (await sign_in(behind, known, change["new_password"])).status_code == 200


async def test_who_hangs_up_in_the_queue_has_not_tried(site):
    """Twenty guesses of callers who are gone at once: none of them counts, and the right password opens."""
    known, failures = person(site), []
    async with (
        site.client() as client,
        client_at(client.app, FLOOD) as behind,
        running(flood(behind, failures, connections=4)),
    ):
        await until(lambda: failures)
        assert [await hang_up(client.app, known) for _ in range(20)] == [400] * 20
        assert (await sign_in(behind, known)).status_code == 200


async def hang_up(app, name) -> int:
    """The status of what nobody reads: the caller has sent everything, and is gone."""
    body = f"grant_type=password&username={name}&password=guess".encode()
    messages = iter([{"type": "http.request", "body": body}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/auth/token", "raw_path": b"/auth/token", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")], "client": (FLOOD, 1), "scheme": "http",
        "server": ("adyton", 80), "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"]
