"""Auditors: whose records they find, and that each reading is an event."""

from __future__ import annotations

import pytest

from db.catalogue import find_model
from db.reach import EVERY_TENANT
from tests.support.people import person, token_of
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio


async def test_an_auditor_reads_every_tenants_log_and_a_tenants_auditor_its_own(any_site):
    """Also by a filter, by an id, and by the name of a tenant that there is not."""
    site = any_site
    issued = {"acme": site.issue(), "other": site.issue(site.tenant("other"))}
    keys = {tenant: each.raw_key for tenant, each in issued.items()}
    other_id = issued["other"].key.tenant_id
    people = {"all": person(site, "auditor"), "acme": person(site, "auditor", "acme")}
    admins = {
        "all": person(site, "admin"),
        "acme": person(site, "admin", "acme"),
        "other": person(site, "admin", "other"),
    }
    async with site.client() as client:
        ids = {}
        for tenant, key in keys.items():
            ids[tenant] = (await client.post("/predict", json=IRIS, headers={"X-API-Key": key})).json()["request_id"]
        theirs = {name: await token_of(client, email) for name, email in people.items()}

        async def found(name, **query):
            answer = await client.get("/audit/predictions", params=query, headers=theirs[name])
            assert answer.status_code == 200
            return {record["tenant"] for record in answer.json()["records"]}

        assert await found("all") == {"acme", "other"}
        assert await found("all", tenant="other") == {"other"}
        assert await found("all", tenant="nobody") == set()
        assert await found("acme") == {"acme"}
        assert await found("acme", tenant="acme") == {"acme"}
        for strange in ("other", "nobody"):
            assert await found("acme", tenant=strange) == set()
        assert await found("acme", request_id=ids["other"]) == set()
        unknown = await client.get(f"/audit/predictions/{ids['other'][:-4]}0000", headers=theirs["acme"])
        foreign = await client.get(f"/audit/predictions/{ids['other']}", headers=theirs["acme"])
        assert (unknown.status_code, unknown.json() | {"request_id": ""}) == (
            foreign.status_code,
            foreign.json() | {"request_id": ""},
        )
        assert (await client.get(f"/audit/predictions/{ids['other']}", headers=theirs["all"])).json()[
            "tenant"
        ] == "other"

        seen = {}
        for name, email in admins.items():
            events = (await client.get("/admin/events?limit=1000", headers=await token_of(client, email))).json()[
                "items"
            ]
            seen[name] = [
                (event["verb"], event["tenant"], event["details"]["asked"])
                for event in events
                if event["verb"].startswith("log.")
            ]
        assert len(seen["all"]) == 11
        assert ("log.search", "other", {"tenant": other_id}) in seen["all"]
        assert ("log.search", None, {}) in seen["all"]
        assert {tenant for _, tenant, _ in seen["acme"]} == {"acme"}
        assert len(seen["acme"]) == 7
        assert seen["other"] == [("log.search", "other", {"tenant": other_id})]


async def test_nothing_is_read_without_its_event(site):
    """A search that is refused is none; one by a key is one."""
    key = site.key()
    email = person(site)
    with site.database.reading(EVERY_TENANT) as session:
        iris = find_model(session, "iris").id
    async with site.client() as client:
        for query in ("limit=0", "unknown=1", "after=x"):
            assert (await client.get(f"/audit/predictions?{query}", headers={"X-API-Key": key})).status_code in (
                400,
                422,
            )
        assert (await client.get("/audit/predictions?model=iris", headers={"X-API-Key": key})).status_code == 200
        events = (await client.get("/admin/events", headers=await token_of(client, email))).json()["items"]
        readings = [event for event in events if event["verb"] == "log.search"]
    assert [(event["actor"][:4], event["details"]["asked"]) for event in readings] == [
        ("key:", {"model": iris})]  # fmt: skip
