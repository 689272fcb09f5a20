"""Keys from their issue to their end, over HTTP: what admins do, and what a tenant's admin may not."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from admin.limits import Limits
from admin.tenants import set_tenant
from db.changes import KEPT
from db.reach import EVERY_TENANT
from tests.support.contents import contents, follow
from tests.support.people import client_of, token_of
from tests.support.site import ACTOR, IRIS

pytestmark = pytest.mark.anyio


async def test_a_key_from_its_issue_to_its_end(any_site):
    """Issued once in clear, listed without its secret, changed, rotated, used, revoked; the same on both databases."""
    async with client_of(any_site) as admin:
        made = await admin.post("/admin/tenants", json={"name": "bank", "limit": ["100/minute"]})
        assert (made.status_code, made.json()["limits"]) == (201, ["100/minute"])
        terms = {"label": "app", "scope": ["predict"], "limit": ["5/minute"], "model": ["iris"], "cidr": ["127.0.0.0/8"],
                 "expires": "90d"}  # fmt: skip
        issued = await admin.post("/admin/tenants/bank/keys", json=terms)
        assert issued.status_code == 201
        key = issued.json()
        raw_key = {"X-API-Key": key["key"]}
        assert (key["scopes"], key["models"], key["cidrs"]) == (["predict"], ["iris"], ["127.0.0.0/8"])
        plain = {"headers": raw_key}
        admins = dict(admin.headers)
        admin.headers.pop("Authorization")
        assert (await admin.post("/predict", json=IRIS, **plain)).status_code == 200
        assert (await admin.post("/v1/models/wine/predict", json={}, **plain)).status_code == 404
        admin.headers["Authorization"] = admins["authorization"]
        listed = (await admin.get("/admin/tenants/bank/keys")).json()
        assert [each["id"] for each in listed["items"]] == [key["id"]]
        assert key["key"] not in str(listed)
        changed = await admin.patch(f"/admin/keys/{key['id']}", json={"label": "new", "limit": None, "expires": None})
        assert (changed.json()["label"], changed.json()["limits"], changed.json()["expires_at"]) == ("new", [], None)
        assert changed.json()["models"] == ["iris"]
        rotated = (await admin.post(f"/admin/keys/{key['id']}/rotate", json={"overlap": "1h"})).json()
        assert rotated["id"] == key["id"]
        assert rotated["key"] != key["key"]
        revoked = await admin.delete(f"/admin/keys/{key['id']}")
        assert revoked.json()["revoked_at"] is not None
        assert (await admin.delete(f"/admin/keys/{key['id']}")).status_code == 409
        assert (await admin.patch(f"/admin/keys/{key['id']}", json={"label": "x"})).status_code == 409
        verbs = [event["verb"] for event in (await admin.get("/admin/events")).json()["items"]]
        assert verbs[:5] == ["key.revoke", "key.rotate", "key.set", "key.issue", "tenant.create"]


async def test_last_use_is_written_without_a_write_per_request(any_site):
    """One round of housekeeping writes when every key was used; a use is no change that would conflict."""
    used, unused = any_site.issue(), any_site.issue()
    async with client_of(any_site) as admin:
        admin.headers.pop("Authorization")
        assert (await admin.get("/v1/me", headers={"X-API-Key": used.raw_key})).status_code == 200
        await admin.app.state.parts.housekeeping.work()
        with any_site.database.reading(EVERY_TENANT) as session:
            rows = dict(session.execute(text("SELECT id, last_used_at IS NOT NULL FROM keys")).all())
            revisions = set(session.scalars(text("SELECT revision FROM keys")))
        assert (bool(rows[used.key.id]), bool(rows[unused.key.id]), revisions) == (True, False, {1})
        admin.headers.update(await token_of(admin, "admin@all.example.com"))
        idle = (await admin.get("/admin/tenants/acme/keys?unused_for=0s")).json()["items"]
        assert {key["id"] for key in idle} == {used.key.id, unused.key.id}
        assert (await admin.get("/admin/tenants/acme/keys?unused_for=1d")).json()["items"] == []
        assert (await admin.get("/admin/tenants/acme/keys?unused_for=soon")).status_code == 422


async def test_housekeeping_forgets_old_changes_and_nobody_is_the_worse_for_it(any_site):
    """All that is long obeyed goes; a server that has missed some reads everything anew, and obeys what comes then."""
    issued, other = any_site.issue(), any_site.key()
    async with any_site.client() as client:
        assert await statuses(client, issued.raw_key, other) == [200, 200]
        with any_site.database.transaction(EVERY_TENANT) as session:
            session.execute(text("UPDATE change_counter SET value = value + :kept"), {"kept": KEPT})
        await client.app.state.parts.housekeeping.work()
        with any_site.database.reading(EVERY_TENANT) as session:
            assert session.scalar(text("SELECT count(*) FROM changes")) == 0
        await follow()
        assert await statuses(client, issued.raw_key, other) == [200, 200]
        any_site.revoke(issued.key.id)
        await follow()
        assert await statuses(client, issued.raw_key, other) == [401, 200]


async def statuses(client, *keys):
    return [(await client.get("/v1/me", headers={"X-API-Key": key})).status_code for key in keys]


async def test_no_more_than_five_secrets_of_a_key_work_at_once(any_site):
    """The sixth is a conflict that changes nothing, until one has ended; without an overlap there is one."""
    key_id = any_site.issue().key.id
    async with client_of(any_site) as admin:

        async def rotate(overlap):
            return (await admin.post(f"/admin/keys/{key_id}/rotate", json={"overlap": overlap})).status_code

        assert await rotate("4s") == 200
        assert [await rotate("1h") for _ in range(3)] == [200] * 3
        before = contents(any_site, "keys", "key_secrets", "events")
        assert await rotate("1h") == 409
        assert contents(any_site, "keys", "key_secrets", "events") == before
        await asyncio.sleep(4)
        assert [await rotate("1h") for _ in range(2)] == [200, 409]
        assert await rotate("0s") == 200
        assert [await rotate("1h") for _ in range(5)] == [200] * 4 + [409]


EXCESSES = {
    "more in the same window": {"limit": ["101/minute"]},
    "more in a shorter window": {"limit": ["101/second"]},
    "more in a longer window": {"limit": ["6001/hour"]},
    "more rows than the plan": {"rows": ["100000001/minute"]},
    "a model that is not granted": {"model": ["private"]},
    "a model that there is not": {"model": ["nothing"]},
    "a scope that there is not": {"scope": ["admin"]},
}


@pytest.mark.parametrize("excess", EXCESSES)
async def test_a_tenants_admin_issues_no_key_that_exceeds_the_tenant(site, excess):
    """Neither a new one nor by a change, and nothing is left half done."""
    import numpy as np  # noqa: PLC0415
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    sample = np.array([[0.0], [1.0], [2.0]])
    site.model(
        "private",
        LinearRegression().fit(sample, [1.0, 2.0, 3.0]),
        sample,
        ["x"],
        is_public=False,
    )
    site.tenant("bank", requests=["100/minute"])
    key_id = site.issue("bank").key.id
    async with client_of(site, "admin", "bank") as admin:
        assert (
            await admin.post("/admin/tenants/bank/keys", json={"limit": ["100/minute", "6000/hour"]})
        ).status_code == 201
        before = contents(site, "keys", "policies", "events")
        assert (await admin.post("/admin/tenants/bank/keys", json=EXCESSES[excess])).status_code == 422
        assert (await admin.patch(f"/admin/keys/{key_id}", json=EXCESSES[excess])).status_code == 422
        assert contents(site, "keys", "policies", "events") == before


async def test_a_key_that_its_tenant_was_lowered_under_can_be_changed(site):
    """All but the limits that exceed the tenant now; those only to what does not."""
    site.tenant("bank", requests=["100/minute"], rows=["1000/minute"])
    key_id = site.issue("bank", requests=["100/minute"], rows=["1000/minute"]).key.id
    set_tenant(site.database, actor=ACTOR, name="bank", limits=Limits(["10/minute"], ["10/minute"]))
    async with client_of(site, "admin", "bank") as admin:

        async def change(**terms):
            return (await admin.patch(f"/admin/keys/{key_id}", json=terms)).status_code

        assert await change(label="new", scope=["predict"], model=["iris"], expires="90d", cidr=["127.0.0.0/8"]) == 200
        assert await change(limit=["100/minute"]) == 422
        assert await change(rows=["11/minute"], label="not this one") == 422
        assert await change(limit=["10/minute"]) == 200
        assert (await admin.get(f"/admin/keys/{key_id}")).json()["label"] == "new"
