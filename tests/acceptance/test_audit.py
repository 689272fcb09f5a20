"""What an auditor finds, and what a tenant's own auditor cannot."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from auth.principal import Scope
from tests.support.log import assert_holds
from tests.support.patience import SECONDS
from tests.support.site import IRIS
from tests.support.traffic import Traffic

pytestmark = pytest.mark.anyio


async def pages(client, **filters):
    """Every record, page by page."""
    found, after = [], None
    while True:
        page = (await client.get("/audit/predictions", params=filters | ({"after": after} if after else {}))).json()
        found += page["records"]
        after = page["next"]
        if after is None:
            return found


async def test_a_record_says_who_asked_what_and_which_bytes_answered(site):
    """Every field of the contract, for an answer."""
    issued = site.issue()
    async with site.client(issued.raw_key) as client:
        answer = await client.post("/v1/models/iris/predict", json=IRIS, headers={"X-Request-ID": "theirs"})
        record = (await client.get(f"/audit/predictions/{answer.json()['request_id']}")).json()
        model = (await client.get("/v1/models/iris")).json()
    assert set(record) == {
        "request_id", "client_request_id", "at", "tenant", "key_id", "subject", "model", "version", "artifact_sha256",
        "route", "rows", "count", "outcome", "status", "latency_ms", "inference_ms", "inputs", "outputs", "fingerprint",
        "address", "charged_requests", "charged_rows",
    }  # fmt: skip
    assert record["tenant"] == "acme"
    assert record["key_id"] == issued.key.id
    assert (record["model"], record["version"], record["rows"], record["count"]) == ("iris", "1", 1, 1)
    assert record["artifact_sha256"] == model["version_details"][0]["artifact_sha256"]
    assert (record["outcome"], record["status"], record["client_request_id"]) == ("answered", 200, "theirs")
    assert record["inputs"] == [IRIS]
    assert record["outputs"][0]["prediction"] == answer.json()["prediction"]
    assert record["address"] == "127.0.0.0/24"
    assert (record["charged_requests"], record["charged_rows"]) == (1, 1)
    assert record["latency_ms"] > record["inference_ms"] > 0
    at = datetime.fromisoformat(record["at"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


async def test_each_filter_narrows_what_is_found(any_site):
    """Alone and together; a filter that is misspelt is refused instead of ignored."""
    site = any_site
    one, other = site.issue(), site.issue()
    async with site.client(one.raw_key) as client:
        first = (await client.post("/v1/models/wine/predict", json={})).headers["X-Request-ID"]
        middle = datetime.now(UTC).isoformat()
        await asyncio.sleep(0.005)
        ids = [(await client.post("/predict", json=IRIS)).json()["request_id"] for _ in range(3)]
        theirs = await client.post("/predict", json=IRIS, headers={"X-API-Key": other.raw_key})
        everything = await pages(client)
        fingerprint = everything[0]["fingerprint"]

        async def found(**filters):
            return {record["request_id"] for record in await pages(client, **filters)}

        assert len(everything) == 5
        assert await found(key=other.key.id) == {theirs.json()["request_id"]}
        assert await found(model="wine") == {first}
        assert await found(outcome="answered", key=one.key.id) == set(ids)
        assert await found(status=422) == {first}
        assert await found(request_id=ids[1]) == {ids[1]}
        assert await found(version="1", model="iris", limit=1) == {*ids, theirs.json()["request_id"]}
        assert await found(fingerprint=fingerprint) == {*ids, theirs.json()["request_id"]}
        assert await found(to=middle) == {first}
        assert await found(**{"from": middle}) == {*ids, theirs.json()["request_id"]}
        assert await found(min_latency_ms=100_000) == set()
        assert await found(tenant="acme", status=422) == {first}
        assert await found(tenant="another") == set()
        for query in ("colour=red", "limit=0", "limit=1001", "after=nonsense", "from=yesterday", "status=x"):
            assert (await client.get(f"/audit/predictions?{query}")).status_code == 422


async def test_another_tenant_finds_nothing_and_cannot_tell(site):
    """Its search is empty; another's record answers as one that does not exist."""
    mine, theirs = site.key(), site.key(site.tenant("other"))
    async with site.client() as client:
        request_id = (await client.post("/predict", json=IRIS, headers={"X-API-Key": mine})).json()["request_id"]
        headers = {"X-API-Key": theirs}
        unknown = request_id[:-1] + ("0" if request_id[-1] != "0" else "1")
        one = await client.get(f"/audit/predictions/{request_id}", headers=headers)
        other = await client.get(f"/audit/predictions/{unknown}", headers=headers)
        assert (one.status_code, other.status_code) == (404, 404)
        assert {**one.json(), "request_id": 0} == {**other.json(), "request_id": 0}
        for query in ("", f"?request_id={request_id}", "?tenant=acme"):
            page = (await client.get(f"/audit/predictions{query}", headers=headers)).json()
            assert page == {"records": [], "next": None}


async def test_paging_has_no_gap_and_no_repeat_while_more_is_written(site, serve, rounds):
    """Thousands of mixed requests' answers: each is found by its id, and all by the cursor, under load."""
    server, key, count = serve(site), site.key(), rounds(10_000, 600)
    reader = site.key(scopes=[Scope.AUDIT_READ_OWN])
    rows = {"rows": [IRIS] * 3}
    with (
        Traffic(server.port, key, connections=16) as singles,
        Traffic(server.port, key, connections=16, row=rows, path="/v1/models/iris/predict/batch") as batches,
        Traffic(server.port, key, connections=4, row={}, pause=0.05),
    ):
        singles.wait_for(count // 2)
        batches.wait_for(count // 2)
        answered = [*singles.answered, *batches.answered][:count]
        async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": reader}, timeout=SECONDS) as client:
            paged = Counter(
                record["request_id"] for record in await pages(client, limit=rounds(1000, 150), outcome="answered")
            )
            singles.stop()
            batches.stop()
            missing = []
            for request_id in answered[:: max(1, len(answered) // 1000)]:
                record = await client.get(f"/audit/predictions/{request_id}")
                if record.status_code != 200 or record.json()["request_id"] != request_id:
                    missing.append(request_id)
    assert not missing
    assert max(paged.values()) == 1
    assert not set(answered) - set(paged)
    assert_holds(site.database, answered)
