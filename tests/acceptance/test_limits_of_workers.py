"""Two workers honour one limit, on every route of the OpenAPI document that has one."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import urlencode

import httpx
import pytest

from quotas.allowances import DESCRIPTIONS, READINGS, REVOCATIONS, SEARCHES, STATUS, TOKENS
from quotas.shared.seeding import Memory
from quotas.strategy import shared_store
from tests.support.patience import SECONDS, is_without_news
from tests.support.server import Server
from tests.support.site import IRIS
from values.ids import uuid7
from values.subjects import Subject

LIMIT = 4
ALLOWANCES = (DESCRIPTIONS, READINGS, REVOCATIONS, SEARCHES, STATUS, TOKENS)
#: A key may call these, and nothing is counted: they say nothing of anybody, and refuse nobody.
UNLIMITED = {
    ("get", path) for path in ("/health", "/health/ready", "/.well-known/jwks.json", "/problems/{name}", "/problems")
}


@pytest.fixture(scope="module")
def server(template, redis_binary, tmp_path_factory):  # noqa: ARG001  it says whether there is one
    """Two workers on SQLite and a Redis, for all tests of this file."""
    from tests.support.redis import Redis  # noqa: PLC0415  beside its fixture for single tests

    redis = Redis()
    site = template.copy_to(tmp_path_factory.mktemp("workers") / "site")
    try:
        server = Server(site, workers=2, ADYTON_REDIS_URL=redis.url)
        server.redis = redis
        yield server
        server.kill()
    finally:
        redis.remove()
        site.close()


def ask(server, method, path, **request) -> httpx.Response:
    """On a connection of its own, which either worker may take."""
    while True:
        answer = httpx.request(method, f"{server.url}{path}", timeout=SECONDS, **request)
        if not is_without_news(answer.status_code, answer.content):
            return answer


def request_of(path: str) -> dict:
    """A body that the route takes; routes that read one are predictions and tokens."""
    if path.endswith("batch_predict"):
        return {"json": [IRIS]}
    if path.endswith("/batch"):
        return {"json": {"rows": [IRIS]}}
    return {"json": IRIS} if "predict" in path else {}


def operations(server, key) -> list[tuple[str, str]]:
    """Every operation of the document that a key is a credential for."""
    document = ask(server, "GET", "/openapi.json", headers={"X-API-Key": key}).json()
    return [
        (method, path)
        for path, of_path in document["paths"].items()
        for method, operation in of_path.items()
        if not path.startswith("/admin") and (method, path) not in UNLIMITED and isinstance(operation, dict)
    ]


def filled(path: str) -> str:
    values = {"model": "iris", "request_id": uuid7()}
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "x"), path)


def test_each_charged_route_refuses_the_request_past_the_limit(server):
    """Limit + 1 requests, on either worker: the last one is 429, and no other."""
    charged = [each for each in operations(server, server.site.key()) if "predict" in each[1] and each[0] == "post"]
    assert {path for _, path in charged} >= {"/predict", "/batch_predict"}
    for method, path in charged:
        headers = {"X-API-Key": server.site.key(requests=[f"{LIMIT}/minute"])}
        answers = [ask(server, method, filled(path), headers=headers, **request_of(path)) for _ in range(LIMIT + 1)]
        assert [answer.status_code for answer in answers] == [200] * LIMIT + [429], path
        left = [int(re.search(r"r=(\d+)", answer.headers["ratelimit"])[1]) for answer in answers]
        assert left == [3, 2, 1, 0, 0], path


@pytest.mark.anyio
async def test_each_limited_route_is_refused_by_both_workers_once_its_allowance_is_spent(server):
    """What another process spends counts for both; no route that a key may call was forgotten."""
    issued = server.site.issue(requests=["1/minute"])
    found = operations(server, server.site.key())
    assert {("get", "/v1/me"), ("get", "/v1/models"), ("get", "/audit/predictions")} <= set(found)
    store = shared_store(server.redis.url, uuid7(), Memory())
    await store.start()
    try:
        for allowance in ALLOWANCES:
            await store.charge([allowance.of(Subject.of_key(issued.key.id))], allowance.amount)
    finally:
        await store.close()
    headers = {"X-API-Key": issued.raw_key}
    assert ask(server, "POST", "/predict", json=IRIS, headers=headers).status_code == 200
    for method, path in found:
        request = request_of(path) | {"headers": headers}
        if path.startswith("/auth/"):
            request = as_client(path, issued)
        if request is not None:
            statuses = Counter(ask(server, method, filled(path), **request).status_code for _ in range(4))
            assert statuses == {429: 4}, (method, path)


def as_client(path, issued) -> dict | None:
    """How a key buys a token; a password is changed by people alone, and what is ended is the token's own allowance."""
    form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key}
    head = {"content-type": "application/x-www-form-urlencoded"}
    return {"content": urlencode(form), "headers": head} if path == "/auth/token" else None


def test_addresses_that_fail_are_counted_once_for_both(server):
    """Unknown credentials from one address: 600 in a minute, whichever worker saw them."""
    with httpx.Client(base_url=server.url, timeout=SECONDS, headers={"X-API-Key": "ady_unknown"}) as client:
        statuses = Counter(
            client.get("/v1/me", headers={"Connection": "close"} if each % 50 == 0 else {}).status_code
            for each in range(602)
        )
    assert set(statuses) == {401, 429}
    assert statuses[401] <= 600
