"""Searches of the log among each other: turns for each tenant, a deadline over all of it, and callers who hang up."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest

from audit.search import Searches, SearchTooLong
from db.stopping import Stopped
from tests.support.asking import settled
from tests.support.people import client_of, person, token_of
from tests.support.site import Site

pytestmark = pytest.mark.anyio
SEARCH = "/audit/predictions?outcome=failed"


@pytest.fixture
def hurried(template, tmp_path):
    """An installation whose requests may take a second."""
    template.copy_to(tmp_path / "site").close()
    site = Site(tmp_path / "site", request_timeout_seconds=1)
    yield site
    site.close()


async def take_turns(stack, client, whose, count=2):
    """As many turns of that caller as are given at once, until the stack is left."""
    searches = client.app.state.parts.searches
    for _ in range(count):
        await stack.enter_async_context(searches.turn("test", whose, 60))


async def test_a_tenants_searches_wait_for_each_other_and_for_nobody_else(hurried):
    """With two of a tenant's under way its third is refused in time, by search and by id; others' are served."""
    issued, other, email = hurried.issue(), hurried.issue(hurried.tenant("other")), person(hurried, "auditor")
    mine, theirs = {"X-API-Key": issued.raw_key}, {"X-API-Key": other.raw_key}
    async with hurried.client() as client, AsyncExitStack() as stack:
        auditor = await token_of(client, email)
        one = f"/audit/predictions/{(await client.post('/predict', json={}, headers=mine)).headers['X-Request-ID']}"
        await take_turns(stack, client, issued.key.tenant_id)
        for path in (SEARCH, one):
            late = await client.get(path, headers=mine)
            assert (late.status_code, late.json()["type"]) == (503, "/problems/search-too-long")
            assert int(late.headers["Retry-After"]) > 0
            assert (await settled(client, path, headers=theirs)).status_code == (200 if path == SEARCH else 404)
        assert (await settled(client, SEARCH, headers=auditor)).status_code == 200
        await stack.aclose()
        assert (await settled(client, one, headers=mine)).status_code == 200
        assert (await client.get("/problems/search-too-long")).status_code == 200


async def test_a_search_that_waits_is_given_up_when_its_caller_hangs_up(site):
    """It leaves the queue, and has no event: nothing was read."""
    issued = site.issue()
    headers = [(b"x-api-key", issued.raw_key.encode()), (b"host", b"x")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
             "path": "/audit/predictions", "raw_path": b"/audit/predictions", "query_string": b"", "root_path": "",
             "headers": headers, "client": ("127.0.0.1", 1), "server": ("x", 80)}  # fmt: skip
    sent, is_gone = [], asyncio.Event()
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if body:
            return body.pop()
        await is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async with site.client() as client, AsyncExitStack() as stack:
        await take_turns(stack, client, issued.key.tenant_id)
        turns = client.app.state.parts.searches._turns
        asking = asyncio.ensure_future(client.app(scope, receive, send))
        while issued.key.tenant_id not in turns._waiting:
            await asyncio.sleep(0.01)
        is_gone.set()
        await asking
        assert sent[0]["status"] == 400
        await stack.aclose()
        assert not turns._waiting
        assert not turns._taken
    async with client_of(site) as admin:
        events = (await admin.get("/admin/events")).json()["items"]
    assert not [event for event in events if event["verb"] == "log.search"]


class Stubborn:
    """Work that takes its time to heed its stop."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.was_stopped = False

    def __call__(self, stop):
        self.has_begun.set()
        self.may_end.wait(60)
        self.was_stopped = stop.is_over()
        stop.check()
        raise Stopped


@pytest.mark.parametrize("ends", ["deadline", "cancelled"])
async def test_a_turn_is_given_back_when_its_query_has_ended_and_not_before(ends):
    """Otherwise slow queries would add up; whoever waits for the answer does not wait for that."""
    searches, work = Searches(), Stubborn()

    async def search(seconds):
        async with searches.turn("key:a", "tenant", seconds) as turn:
            await turn.run(work)

    task = asyncio.ensure_future(search(0.3 if ends == "deadline" else 60))
    await asyncio.to_thread(work.has_begun.wait, 60)
    if ends == "cancelled":
        task.cancel()
    with pytest.raises(SearchTooLong if ends == "deadline" else asyncio.CancelledError):
        await task
    assert searches._turns._taken == {"tenant": 1}
    work.may_end.set()
    while searches._turns._taken:
        await asyncio.sleep(0.01)
    assert work.was_stopped
    searches.close()
