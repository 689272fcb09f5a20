"""Callers' free text in the book of events, which is kept for ever: it is not taken, or not written down."""

from __future__ import annotations

import json

import pytest

from db.catalogue import find_model
from db.reach import EVERY_TENANT
from tests.support.asking import settled
from tests.support.contents import contents
from tests.support.log import FILTERS, assert_holds
from tests.support.people import person, token_of
from tests.support.site import IRIS
from values.ids import uuid7

pytestmark = pytest.mark.anyio
CARD, EMAIL = "4111111111111111", "somebody.private@example.net"
CARD_AS_ID = "41111111-1111-7111-8111-111111111111"
CARD_AS_FINGERPRINT = CARD * 4


def words(raw_key, token):
    """A whole key, a token, and somebody's data, in the spellings that some filter might take."""
    return [raw_key, token, EMAIL, CARD, "4111 1111 1111 1111", "4111-1111-1111-1111", CARD[:12], CARD_AS_ID,
            CARD_AS_FINGERPRINT, f"refused:{CARD}"]  # fmt: skip


def assert_nowhere(texts, canaries):
    for text in texts:
        for canary in canaries:
            assert canary not in text, (canary, text[:2000])


async def test_no_filter_takes_or_keeps_what_a_caller_makes_up(any_site):
    """In every filter, in the cursor, in the path and as a filter's name; by a key and by an auditor."""
    site = any_site
    issued, email = site.issue(), person(site, "auditor")
    found = set()
    async with site.client() as client:
        auditor = await token_of(client, email)
        canaries = words(issued.raw_key, auditor["Authorization"].removeprefix("Bearer "))
        for headers in (auditor, {"X-API-Key": issued.raw_key}):
            for path in ("/audit/predictions", "/audit/predictions/"):
                for canary in canaries:
                    asked = [{name: canary} for name in (*FILTERS, "after", "limit")] + [{canary: "x"}]
                    for query in asked:
                        answer = await settled(client, path, params=query, headers=headers)
                        assert answer.status_code in (200, 422), answer.text
                        assert answer.status_code == 422 or answer.json() == {"records": [], "next": None}
                        assert_nowhere([answer.text], canaries)
                        found.add(answer.status_code)
                    answer = await settled(client, f"{path.rstrip('/')}/{canary}", headers=headers)
                    assert answer.status_code == 404
                    assert_nowhere([answer.text], canaries)
    assert found == {200, 422}
    rows = contents(site)
    assert any("log.search" in event for event in rows["events"])
    for table, kept in rows.items():
        assert_nowhere(kept, canaries if table != "users" else canaries[:2])


async def test_nothing_of_a_prediction_keeps_a_secret_that_its_caller_put_elsewhere(site):
    """As the request's name, in the path, as a parameter, as a member: no table has it; a name of another kind stays."""
    issued = site.issue()
    async with site.client(issued.raw_key) as client:
        form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key}
        request = client.build_request("POST", "/auth/token", data=form)
        del request.headers["X-API-Key"]
        token = (await client.send(request)).json()["access_token"]
        canaries = [issued.raw_key, token, EMAIL, f"a-{issued.raw_key}-b"]
        for canary in canaries:
            named = {"X-Request-ID": canary[:128]}
            await client.post("/predict", json=IRIS, headers=named)
            await client.post("/predict", json=IRIS | {canary: 1}, headers=named)
            await client.post(f"/v1/models/{canary}/predict", json=IRIS, headers=named)
            await client.post(f"/v1/models/iris/predict?version={canary}", json=IRIS, headers=named)
            await client.get(f"/{canary}", headers=named)
        for name in ("order-20261126-0000000000000042", "7f3c1d9e-7a41-4c0b-9d53-6a1f0c3b2e11"):
            kept = await client.post("/predict", json=IRIS, headers={"X-Request-ID": name})
            record = (await client.get(f"/audit/predictions/{kept.json()['request_id']}")).json()
            assert record["client_request_id"] == name
        assert len((await client.get("/audit/predictions")).json()["records"]) > 5
    assert_holds(site.database, [kept.json()["request_id"]])
    for kept in contents(site).values():
        assert_nowhere(kept, canaries)


async def test_an_event_keeps_ids_of_what_its_reader_may_see(any_site):
    """What a filter names is kept by its id, for a tenant only what is the tenant's or granted to it; nothing else."""
    site = any_site
    mine, theirs = site.issue(), site.issue(site.tenant("other"))
    with site.database.reading(EVERY_TENANT) as session:
        iris = find_model(session, "iris")
        iris_id = iris.id
    with site.owner.transaction(EVERY_TENANT) as session:
        find_model(session, "wine").is_public = False
    email = person(site)
    async with site.client() as client:
        admin = await token_of(client, email)
        mine_id = (await client.post("/predict", json=IRIS, headers={"X-API-Key": mine.raw_key})).json()["request_id"]
        theirs_id = (await client.post("/predict", json=IRIS, headers={"X-API-Key": theirs.raw_key})).json()[
            "request_id"
        ]
        cases = [
            ({"tenant": "acme"}, {"tenant": mine.key.tenant_id}), ({"tenant": "other"}, {"tenant": None}),
            ({"key": mine.key.id}, {"key": mine.key.id}), ({"key": theirs.key.id}, {"key": None}),
            ({"request_id": mine_id}, {"request_id": mine_id}), ({"request_id": theirs_id}, {"request_id": None}),
            ({"request_id": uuid7()}, {"request_id": None}), ({"model": "iris"}, {"model": iris_id}),
            ({"model": "wine"}, {"model": None}), ({"model": CARD}, {"model": None}),
            ({"model": "iris", "version": CARD}, {"model": iris_id, "version": []}),
            ({"fingerprint": "ab" * 32, "outcome": "refused", "status": "429"},
             {"fingerprint": True, "outcome": "refused", "status": 429}),
            ({"from": "2026-03-01", "to": "2026-03-01T10:00:00+02:00", "min_latency_ms": "5"},
             {"from": "2026-03-01T00:00:00.000Z", "to": "2026-03-01T08:00:00.000Z", "min_latency_ms": 5.0}),
        ]  # fmt: skip
        for query, _ in cases:
            assert (
                await client.get("/audit/predictions", params=query, headers={"X-API-Key": mine.raw_key})
            ).status_code == 200
        version = await client.get("/audit/predictions?version=1&limit=2", headers={"X-API-Key": mine.raw_key})
        assert [each["request_id"] for each in version.json()["records"]] == [mine_id]
        events = (await client.get("/admin/events?limit=100", headers=admin)).json()["items"]
    kept = [event["details"]["asked"] for event in events if event["verb"] == "log.search"][::-1]
    assert kept[:-1] == [wanted for _, wanted in cases]
    assert iris_id not in json.dumps(kept[-1])
    assert len(kept[-1]["version"]) > 0


async def test_every_refusal_is_found_by_one_word(any_site):
    """`outcome=refused` is every problem with which a caller was refused, and nothing else."""
    site = any_site
    async with site.client(site.key()) as client:
        answered = await client.post("/predict", json=IRIS)
        refused = [await client.post("/predict", json={}), await client.post("/v1/models/nothing/predict", json=IRIS)]
        page = (await client.get("/audit/predictions?outcome=refused")).json()["records"]
        one = (await client.get("/audit/predictions?outcome=refused:not-found")).json()["records"]
        recent = (await client.get("/audit/predictions?from=2h")).json()["records"]
        earlier = (await client.get("/audit/predictions?to=2h")).json()["records"]
    assert {each["request_id"] for each in page} == {each.headers["X-Request-ID"] for each in refused}
    assert {each["outcome"] for each in page} == {"refused:invalid-rows", "refused:not-found"}
    assert [each["request_id"] for each in one] == [refused[1].headers["X-Request-ID"]]
    assert answered.headers["X-Request-ID"] in {each["request_id"] for each in recent}
    assert earlier == []


async def test_what_administrators_type_is_scrubbed_before_it_becomes_an_event(site):
    """Names that are card numbers, and keys, tokens and addresses in labels, descriptions and names."""
    issued, email = site.issue(), person(site)
    async with site.client() as client:
        admin = await token_of(client, email)
        canaries = words(issued.raw_key, admin["Authorization"].removeprefix("Bearer "))
        taken = 0
        for number, canary in enumerate(canaries):
            for method, path, body in (
                ("POST", "/admin/tenants", {"name": canary}),
                ("PUT", f"/admin/plans/{canary}", {"limits": ["5/minute"]}),
                ("POST", "/admin/tenants/acme/keys", {"label": canary, "models": [canary]}),
                ("POST", "/admin/tenants/acme/keys", {"label": canary, "scopes": [canary]}),
                ("PATCH", f"/admin/keys/{issued.key.id}", {"label": canary, "models": [canary]}),
                ("PUT", f"/admin/models/iris/aliases/{canary}", {"version": "1"}),
                ("PUT", f"/admin/models/iris/grants/{canary}", None),
                ("POST", "/admin/users", {"email": f"p{number}@{canary}", "role": "auditor"}),
                ("POST", "/auth/revoke", None),
            ):
                data = {"token": canary} if path == "/auth/revoke" else None
                answer = await client.request(method, path, json=body, data=data, headers=admin)
                assert answer.status_code < 500, answer.text
                taken += answer.status_code < 300
    assert taken > 5
    assert_nowhere(contents(site, "events")["events"], canaries)
