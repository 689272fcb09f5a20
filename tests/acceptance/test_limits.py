"""Limits hold over HTTP, whatever the path's spelling and whatever the body."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter

import httpx
import pytest

from quotas.allowances import DESCRIPTIONS, READINGS, REVOCATIONS, SEARCHES, STATUS, TOKENS
from tests.support.site import IRIS
from values.ids import uuid7
from values.subjects import Subject

pytestmark = pytest.mark.anyio

SPELLINGS = [
    "/predict", "/predict/", "/v1/models/iris/predict", "/v1/models/iris/predict/", "/v1/models/%69ris/predict",
    "/v1/models/iris/predict?version=1", "/v1/models/wine/predict", "/v1/models/nothing/predict",
]  # fmt: skip


@pytest.fixture
def site(shared_site):
    """One for all tests of this file."""
    return shared_site


async def test_tokens_and_readings_of_the_log_run_out_too(site):
    """Whatever the key's limits are, which they do not touch: buying, ending and reading have allowances of their own."""
    issued, other = site.issue(requests=["1/minute"]), site.key()
    form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key}
    key = {"X-API-Key": issued.raw_key}
    async with site.client() as client:
        bought = await run_out(client, TOKENS, "POST", "/auth/token", data=form)
        token = bought[0].json()["access_token"]
        tokens = [answer.json()["access_token"] for answer in bought]
        ended = [await client.post("/auth/revoke", data={"token": each}) for each in tokens[1:]]
        assert {answer.status_code for answer in ended} == {200}
        assert len(await run_out(client, REVOCATIONS, "POST", "/auth/revoke", data={"token": tokens[-1]})) == 1
        assert (await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200
        await run_out(client, SEARCHES, "GET", "/audit/predictions?limit=1", headers=key)
        reading = (await client.get(f"/audit/predictions/{uuid7()}", headers=key)).status_code
        assert reading == 404, "one record by its id is another allowance"
        parts = client.app.state.parts
        for _ in range(READINGS.amount - 1):
            await parts.quotas.charge_allowance(READINGS, Subject.of_key(issued.key.id))
        assert (await client.get(f"/audit/predictions/{uuid7()}", headers=key)).status_code == 429
        assert (await client.get("/audit/predictions", headers={"X-API-Key": other})).status_code == 200
        assert (await client.post("/predict", json=IRIS, headers=key)).status_code == 200
        assert (await client.post("/auth/revoke", data={"token": "x"})).status_code == 200


@pytest.mark.parametrize(
    ("allowance", "paths"),
    [(DESCRIPTIONS, ["/v1/models", "/v1/models/iris", "/openapi.json"]), (STATUS, ["/v1/me", "/v1/usage"])],
)
async def test_what_costs_no_quota_has_an_allowance_for_each_key(site, allowance, paths):
    """Descriptions and what one asks about oneself: each has its own, and another key's is untouched."""
    issued, other = site.issue(requests=["1/minute"]), site.key()
    async with site.client() as client:
        for path in paths:
            assert (await client.get(path, headers={"X-API-Key": issued.raw_key})).status_code == 200
        quotas, subject = client.app.state.parts.quotas, Subject.of_key(issued.key.id)
        for _ in range(allowance.amount - len(paths)):
            await quotas.charge_allowance(allowance, subject)
        for path in paths:
            refused = await client.get(path, headers={"X-API-Key": issued.raw_key})
            assert (refused.status_code, refused.json()["violated-policies"]) == (429, [f"key-{allowance.unit}-60"])
            assert (await client.get(path, headers={"X-API-Key": other})).status_code == 200
        assert (await client.get("/openapi.json")).status_code == 200
        assert (await client.post("/predict", json=IRIS, headers={"X-API-Key": issued.raw_key})).status_code == 200


async def run_out(client, allowance, method, path, **request):
    """Asks until it is refused; returns what was answered before."""
    answered = []
    while (answer := await client.request(method, path, **request)).status_code == 200:
        answered.append(answer)
        assert len(answered) <= allowance.amount
    policy = f"key-{allowance.unit}-60"
    assert (answer.status_code, answer.json()["violated-policies"]) == (429, [policy])
    assert answer.headers["ratelimit-policy"] == f'"{policy}";q={allowance.amount};w=60'
    assert answer.headers["ratelimit"] == f'"{policy}";r=0;t={answer.headers["retry-after"]}'
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    return answered


async def test_a_key_at_five_a_minute_gets_five_answers_of_fifty(shared_server):
    """Fifty at once, by a real server: five answers, forty-five times 429 with a wait."""
    server, key = shared_server, shared_server.site.key(requests=["5/minute"])
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": key}) as client:
        begun = time.monotonic()
        answers = await asyncio.gather(*(client.post("/predict", json=IRIS) for _ in range(50)))
        took = time.monotonic() - begun
    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 45}
    for answer in answers:
        limit = re.match(r'"key-requests-60";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
        assert answer.headers["RateLimit-Policy"].startswith('"key-requests-60";q=5;w=60')
        assert 0 <= int(limit[1]) < 5
        if answer.status_code == 429:
            problem = answer.json()
            assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
            assert problem["violated-policies"] == ["key-requests-60"]
            assert 59 - took <= int(answer.headers["Retry-After"]) <= 60
        else:
            assert "Retry-After" not in answer.headers


async def test_the_wait_that_is_named_is_enough(site):
    """After `Retry-After`, and not before, the next request is answered."""
    async with site.client(site.key(requests=["2/2 seconds"])) as client:
        answers = [await client.post("/predict", json=IRIS)]
        while (refused := await client.post("/predict", json=IRIS)).status_code == 200:
            answers.append(refused)
        assert len(answers) >= 2
        assert refused.status_code == 429
        await asyncio.sleep(int(refused.headers["Retry-After"]))
        assert (await client.post("/predict", json=IRIS)).status_code == 200


@pytest.mark.parametrize("body", [IRIS, {}, {"sepal_length": "x"}, None, []])
async def test_spellings_and_bad_bodies_share_one_budget(site, body):
    """Eight spellings of the path, with good and bad bodies: five requests in all get past the limit."""
    async with site.client(site.key(requests=["5/minute"])) as client:
        answers = [await client.post(path, json=body) for path in SPELLINGS for _ in range(2)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == len(answers) - 5


async def test_a_batch_is_charged_by_its_rows(site):
    """A hundred rows at 150 a minute: one batch is answered; the second costs its request and no row."""
    rows = {"rows": [IRIS] * 100}
    async with site.client(site.key(requests=["10/minute"], rows=["150/minute"])) as client:
        first = await client.post("/v1/models/iris/predict/batch", json=rows)
        second = await client.post("/v1/models/iris/predict/batch", json=rows)
        small = await client.post("/v1/models/iris/predict/batch", json={"rows": [IRIS] * 50})
        never = await client.post("/v1/models/iris/predict/batch", json={"rows": [IRIS] * 151})
        usage = (await client.get("/v1/usage")).json()["policies"]
    assert [each.status_code for each in (first, second, small, never)] == [200, 429, 200, 422]
    assert second.json()["violated-policies"] == ["key-rows-60"]
    assert never.json()["type"] == "/problems/exceeds-quota"
    used = {policy["name"]: policy["used"] for policy in usage}
    assert (used["key-requests-60"], used["key-rows-60"]) == (4, 150)


async def test_limits_of_key_tenant_and_plan_all_apply(site):
    """Two keys share their tenant's limit; the answer names whichever is tightest."""
    site.tenant("small", requests=["6/minute"])
    one, other = site.key("small", requests=["4/minute"]), site.key("small")
    async with site.client() as client:
        statuses = [
            (await client.post("/predict", json=IRIS, headers={"X-API-Key": one})).status_code for _ in range(5)
        ]
        answers = [await client.post("/predict", json=IRIS, headers={"X-API-Key": other}) for _ in range(3)]
    assert statuses == [200] * 4 + [429]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["RateLimit"].startswith('"tenant-requests-60";r=1;')


async def test_asking_who_one_is_and_what_is_left_costs_nothing(site):
    """`/v1/me`, `/v1/usage`, the models and the log can be read with nothing left."""
    async with site.client(site.key(requests=["1/minute"])) as client:
        await client.post("/predict", json=IRIS)
        assert (await client.post("/predict", json=IRIS)).status_code == 429
        for path in ("/v1/me", "/v1/usage", "/v1/models", "/v1/models/iris", "/audit/predictions", "/health"):
            assert (await client.get(path)).status_code == 200


async def test_a_switch_in_the_environment_opens_nothing(own_site, serve):
    """RATELIMIT_ENABLED=false, in the environment and in a `.env`: five are answered and the sixth is not."""
    site = own_site
    (site.directory / ".env").write_text("RATELIMIT_ENABLED=false\nRATELIMIT_DEFAULT=1000/second\n")
    server, key = serve(site, is_forked=False, RATELIMIT_ENABLED="false"), site.key(requests=["5/minute"])
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": key}) as client:
        statuses = [(await client.post("/predict", json=IRIS)).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


async def test_an_address_runs_out_of_failures_and_a_valid_key_does_not_care(site):
    """Unknown credentials and paths become 429; the same address with a good key is served."""
    key = site.key()
    async with site.client() as client:
        statuses = Counter()
        for number in range(700):
            answer = await (
                client.get(f"/none{number}") if number % 2 else client.get("/v1/me", headers={"X-API-Key": "x"})
            )
            statuses[answer.status_code] += 1
        assert statuses == {401: 300, 404: 300, 429: 100}
        assert answer.json()["type"] == "/problems/too-many-failures"
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await client.post("/predict", json=IRIS, headers={"X-API-Key": key})).status_code == 200
        assert (await client.get("/v1/me")).status_code == 401


async def test_refusals_that_repeat_within_a_second_are_one_record(site):
    """With their count, under the first one's id."""
    issued = site.issue(requests=["1/minute"])
    async with site.client(issued.raw_key) as client:
        await client.post("/predict", json=IRIS)
        begun = time.monotonic()
        refused = [await client.post("/predict", json=IRIS) for _ in range(30)]
        took = time.monotonic() - begun
        records = (await client.get("/audit/predictions", params={"key": issued.key.id})).json()["records"]
    found = [record for record in records if record["outcome"] == "refused:quota-exceeded"]
    assert sum(record["count"] for record in found) == 30
    assert len(found) <= 3 + took
    assert {record["request_id"] for record in found} <= {answer.headers["X-Request-ID"] for answer in refused}
