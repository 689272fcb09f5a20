"""What admins do over HTTP: tenants, plans, keys, people, grants; and what they cannot."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import func, select, text

from admin.limits import Limits
from admin.tenants import set_tenant
from db.changes import KEPT
from db.reach import EVERY_TENANT
from db.tables import Base
from tests.support.people import PASSWORD, client_of, person, token_of
from tests.support.site import ACTOR, IRIS

pytestmark = pytest.mark.anyio


async def test_a_key_from_its_issue_to_its_end(any_site):
    """Issued once in clear, listed without its secret, changed, rotated, used, revoked; the same on both databases."""
    async with client_of(any_site) as admin:
        made = await admin.post("/admin/tenants", json={"name": "bank", "limit": ["100/minute"]})
        assert (made.status_code, made.json()["limits"]) == (201, ["100/60 seconds"])
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
        await asyncio.sleep(1)
        assert await statuses(client, issued.raw_key, other) == [401, 200]


async def statuses(client, *keys):
    return [(await client.get("/v1/me", headers={"X-API-Key": key})).status_code for key in keys]


async def test_no_more_than_five_secrets_of_a_key_work_at_once(any_site):
    """The sixth is a conflict that changes nothing, until one has ended; without an overlap there is one."""
    key_id = any_site.issue().key.id
    async with client_of(any_site) as admin:

        async def rotate(overlap):
            return (await admin.post(f"/admin/keys/{key_id}/rotate", json={"overlap": overlap})).status_code

        assert await rotate("2s") == 200
        assert [await rotate("1h") for _ in range(3)] == [200] * 3
        before = contents(any_site, "keys", "key_secrets", "events")
        assert await rotate("1h") == 409
        assert contents(any_site, "keys", "key_secrets", "events") == before
        await asyncio.sleep(2)
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


SECRET_MEMBERS = ["tenant_id", "role", "scopes", "digest", "created_at", "id", "revoked_at", "is_active", "key", "status_",
                  "password_digest", "must_change_password", "generation", "last_used_at", "constructor", "__class__"]  # fmt: skip
CHANGES = {
    "POST /admin/tenants": {"name": "new"},
    "PATCH /admin/tenants/acme": {"limit": ["5/minute"]},
    "POST /admin/tenants/acme/keys": {"label": "x"},
    "PATCH /admin/keys/{key}": {"label": "x"},
    "POST /admin/keys/{key}/rotate": {"overlap": "1h"},
    "PUT /admin/plans/default": {"concurrency": 1},
    "PATCH /admin/plans/default": {"concurrency": 1},
    "POST /admin/users": {"email": "new@example.com", "role": "auditor"},
    "PATCH /admin/users/{user}": {"status": "disabled"},
    "POST /admin/users/{user}/reset": {},
    "POST /auth/password": {"current_password": PASSWORD, "new_password": "other plain words for it"},
}


async def test_members_that_are_not_asked_for_change_nothing(site):
    """Every one is 422 with the place of the object and without the name, and every table is as it was."""
    key_id = site.issue().key.id
    async with client_of(site) as admin:
        user_id = (await admin.get("/admin/users")).json()["items"][0]["id"]
        before = contents(site)
        for operation, asked in CHANGES.items():
            method, _, path = operation.format(key=key_id, user=user_id).partition(" ")
            for member in SECRET_MEMBERS:
                if member in asked:
                    continue
                answer = await admin.request(method, path, json=asked | {member: "attacker"})
                assert (answer.status_code, answer.json().get("errors")) == (
                    422, [{"at": "", "rule": "extra_forbidden", "message": "has a member that is not known"}])  # fmt: skip
            for body, status in NO_OBJECTS.items():
                answer = await admin.request(method, path, content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code == status, body
            plain = {"Content-Type": "text/plain"}
            assert (await admin.request(method, path, content=b"{}", headers=plain)).status_code == 415
        assert contents(site) == before


NO_OBJECTS = {
    b"{": 400,
    b'{"a": 1, "a": 2}': 400,
    b"[]": 422,
    b'"x"': 422,
    b"null": 422,
    b"\xff": 400,
    b"": 400,
    b'{"label": "\\ud800"}': 400,
}
INVALID = [
    ("POST /admin/tenants", {"name": "Bank"}), ("POST /admin/tenants", {"name": "a/b"}), ("POST /admin/tenants", {"name": ""}),
    ("POST /admin/tenants", {"name": 5}), ("POST /admin/tenants", {"name": "x" * 64}), ("POST /admin/tenants", {}),
    ("POST /admin/tenants", {"name": "x", "limit": "5/minute"}), ("POST /admin/tenants", {"name": "x", "limit": ["0/minute"]}),
    ("POST /admin/tenants", {"name": "x", "limit": ["5/minute", "6/60 seconds"]}), ("POST /admin/tenants", {"name": "x", "rows": [5]}),
    ("POST /admin/tenants/acme/keys", {"expires": "tomorrow"}), ("POST /admin/tenants/acme/keys", {"expires": "9999-12-31T23:59:59Z"}),
    ("POST /admin/tenants/acme/keys", {"expires": "0001-01-01T00:00:00+23:59"}), ("POST /admin/tenants/acme/keys", {"scope": []}),
    ("POST /admin/tenants/acme/keys", {"cidr": ["300.0.0.0/8"]}), ("POST /admin/tenants/acme/keys", {"label": "a\0b"}),
    ("POST /admin/tenants/acme/keys", {"label": "x" * 201}), ("POST /admin/tenants/acme/keys", {"model": ["iris"] * 101}),
    ("PUT /admin/plans/x", {"concurrency": 0}), ("PUT /admin/plans/x", {"concurrency": 1.5}), ("PUT /admin/plans/X", {}),
    ("PUT /admin/plans/x", {"concurrency": 10**30}), ("PATCH /admin/tenants/acme", {"status": "erased"}),
    ("PATCH /admin/tenants/acme", {"status": "suspended", "plan": "wide"}), ("PATCH /admin/tenants/acme", {"revision": "1"}),
    ("POST /admin/users", {"email": "nobody", "role": "admin"}), ("POST /admin/users", {"email": "a@b", "role": "root"}),
    ("POST /admin/users", {"email": "a@b.c", "role": "admin", "password": "passwordpassword"}),
    ("POST /admin/tenants", {"name": "x", "plan": "a\0b"}), ("POST /admin/users", {"email": "a@b.c", "role": "admin", "tenant": "a\0b"}),
    ("PATCH /admin/tenants/acme", {"plan": "\0"}), ("POST /admin/tenants/acme/keys", {"model": ["a\0"]}),
    ("POST /admin/tenants/acme/keys", {"label": "\\\0"}), ("POST /admin/users", {"email": "a\0@b.c", "role": "admin"}),
    ("POST /admin/keys/{key}/rotate", {"overlap": "91d"}), ("POST /admin/keys/{key}/rotate", {"overlap": "-1h"}),
]  # fmt: skip


async def test_what_cannot_be_is_refused_and_leaves_nothing(any_site):
    """422 with a clear word and without the value; no row, no event."""
    key_id = any_site.issue().key.id
    async with client_of(any_site) as admin:
        before = contents(any_site)
        for operation, body in INVALID:
            method, _, path = operation.format(key=key_id).partition(" ")
            answer = await admin.request(method, path, json=body)
            assert answer.status_code == 422, (operation, body, answer.text)
            assert "passwordpassword" not in answer.text
        assert contents(any_site) == before


async def test_a_nul_that_is_only_spelt_is_a_text(site):
    """A backslash and `u0000` are six characters like any others."""
    async with client_of(site) as admin:
        for label in ("\\u0000", "a\\\\u0000"):
            made = await admin.post("/admin/tenants/acme/keys", json={"label": label})
            assert (made.status_code, made.json()["label"]) == (201, label)


async def test_names_that_are_taken_and_things_that_are_not_there(any_site):
    """409 and 404; another tenant's key answers a tenant's admin as one that there is not."""
    others = any_site.issue(any_site.tenant("other")).key.id
    async with client_of(any_site, "admin", "acme") as admin:
        unknown = await admin.get("/admin/keys/000000000000")
        foreign = await admin.get(f"/admin/keys/{others}")
        for answer in (unknown, foreign):
            assert answer.status_code == 404
        assert {**unknown.json(), "request_id": ""} == {**foreign.json(), "request_id": ""}
        missing = await admin.get("/admin/tenants/nothing/keys")
        hidden = await admin.get("/admin/tenants/other/keys")
        assert {**missing.json(), "request_id": ""} == {**hidden.json(), "request_id": ""}
        for method in ("patch", "delete"):
            more = {"json": {"label": "x"}} if method == "patch" else {}
            assert (await getattr(admin, method)(f"/admin/keys/{others}", **more)).status_code == 404
    person(any_site, "admin")
    async with any_site.client() as admin:
        admin.headers.update(await token_of(admin, "admin@all.example.com"))
        assert (await admin.post("/admin/tenants", json={"name": "acme"})).status_code == 409
        assert (
            await admin.post("/admin/users", json={"email": "ADMIN@all.example.com", "role": "admin"})
        ).status_code == 409
        assert (await admin.post("/admin/tenants", json={"name": "x", "plan": "nothing"})).status_code == 404
        assert (await admin.patch("/admin/plans/nothing", json={})).status_code == 404
        for path in ("/admin/tenants/nothing", "/admin/plans/nothing", "/admin/keys/nothing", "/admin/users/nothing",
                     "/admin/users/00000000-0000-7000-8000-000000000000", "/admin/tenants/%00", "/admin/users/%00", "/admin/keys/%00"):  # fmt: skip
            assert (await admin.get(path)).status_code == 404, path
        assert (await admin.put("/admin/models/iris/grants/nothing")).status_code == 404
        assert (await admin.delete("/admin/models/iris/grants/acme")).status_code == 404


async def test_two_who_change_one_thing_do_not_overwrite_each_other(any_site):
    """The second is told: 409 by the body's `revision`, 412 by `If-Match`; at once or one after the other."""
    key_id = any_site.issue().key.id
    async with client_of(any_site) as admin:
        for path, change in ((f"/admin/keys/{key_id}", {"label": "mine"}), ("/admin/tenants/acme", {"limit": ["9/minute"]}),
                             ("/admin/plans/wide", {"concurrency": 9})):  # fmt: skip
            seen = await admin.get(path)
            revision = seen.json()["revision"]
            assert seen.headers["etag"] == f'"{revision}"'
            together = await asyncio.gather(
                *(admin.patch(path, json=change | {"revision": revision}) for _ in range(5))
            )
            assert sorted(answer.status_code for answer in together) == [200, 409, 409, 409, 409]
            stale = await admin.patch(path, json=change, headers={"If-Match": f'"{revision}"'})
            assert (stale.status_code, stale.json()["type"]) == (412, "/problems/precondition-failed")
            assert (
                await admin.patch(path, json=change, headers={"If-Match": seen.headers["etag"] + "x"})
            ).status_code == 412
            current = (await admin.get(path)).headers["etag"]
            assert (await admin.patch(path, json=change, headers={"If-Match": current})).status_code == 200
            assert (await admin.patch(path, json=change, headers={"If-Match": "*"})).status_code == 200


async def test_what_changed_since_is_not_ended_rotated_or_reset(any_site):
    """`If-Match` of an older revision is 412 there too, and `revision` 409 where there is a body; nothing is changed."""
    key_id = any_site.issue(any_site.tenant("bank")).key.id
    person(any_site, "auditor")
    async with client_of(any_site) as admin:
        users = (await admin.get("/admin/users")).json()["items"]
        (user_id,) = [user["id"] for user in users if user["role"] == "auditor"]
        key, user, bank = f"/admin/keys/{key_id}", f"/admin/users/{user_id}", "/admin/tenants/bank"
        steps = [("POST", f"{key}/rotate", key, {"overlap": "0s"}), ("POST", f"{user}/reset", user, {}),
                 ("DELETE", key, key, None), ("DELETE", bank, bank, None)]  # fmt: skip
        before = contents(any_site)
        for method, path, _, body in steps:
            stale = await admin.request(method, path, json=body, headers={"If-Match": '"9"'})
            assert (stale.status_code, stale.json()["type"]) == (412, "/problems/precondition-failed"), path
            if body is not None:
                assert (await admin.request(method, path, json=body | {"revision": 9})).status_code == 409, path
        for named in ({"headers": {"If-Match": '"1"'}}, {"headers": {"If-Match": "*"}}, {"json": {"revision": 1}}):
            made = await admin.put("/admin/plans/none", **({"json": {}} | named))
            assert made.status_code == (412 if "headers" in named else 409), named
        assert contents(any_site) == before
        for method, path, shown, body in steps:
            current = {"If-Match": (await admin.get(shown)).headers["etag"]}
            assert (await admin.request(method, path, json=body, headers=current)).status_code == 200, path


async def test_lists_are_paged_by_cursor(any_site):
    """Every row once, whatever comes in between; a cursor or a filter that is none is refused."""
    for number in range(7):
        any_site.tenant(f"t{number}")
        any_site.issue()
    async with client_of(any_site) as admin:
        for path, name in (("/admin/tenants", "name"), ("/admin/tenants/acme/keys", "id"), ("/admin/events", "id"),
                           ("/admin/plans", "name"), ("/admin/users", "id"), ("/admin/models", "name")):  # fmt: skip
            whole = [each[name] for each in (await admin.get(path, params={"limit": 1000})).json()["items"]]
            pages, after = [], None
            while True:
                page = (await admin.get(path, params={"limit": 2} | ({"after": after} if after else {}))).json()
                pages += [each[name] for each in page["items"]]
                after = page["next"]
                if after is None:
                    break
            assert pages == whole
            assert len(set(pages)) == len(pages)
        for query in ("limit=0", "limit=1001", "limit=x", "after=!", "after=%00", "unknown=1", "limit=1&limit=2"):
            assert (await admin.get(f"/admin/tenants?{query}")).status_code in (400, 422), query
        other_lists = (await admin.get("/admin/tenants?limit=1")).json()["next"]
        assert (await admin.get("/admin/events", params={"after": other_lists})).status_code == 422


async def test_a_suspended_tenants_keys_and_people_are_out_and_come_back(site):
    """By `status`, and back again; twice the same is a conflict."""
    key = site.key()
    theirs = person(site, "auditor", "acme")
    async with client_of(site) as admin:
        headers = await token_of(admin, theirs)
        for status, expected in (("suspended", 401), ("active", 200)):
            assert (await admin.patch("/admin/tenants/acme", json={"status": status})).status_code == 200
            assert (await admin.patch("/admin/tenants/acme", json={"status": status})).status_code == 409
            await follow()
            admins = admin.headers.pop("Authorization")
            assert (await admin.get("/v1/me", headers={"X-API-Key": key})).status_code == expected
            assert (await admin.get("/v1/me", headers=headers)).status_code == expected
            admin.headers["Authorization"] = admins


async def test_grants_are_given_and_taken_back(any_site):
    """Within a second the model is there, and not."""
    async with client_of(any_site) as admin:
        assert (await admin.put("/admin/models/iris/grants/acme")).status_code == 200
        assert (await admin.put("/admin/models/iris/grants/acme")).status_code == 200
        granted = (await admin.get("/admin/models")).json()["items"]
        assert [len(model["granted_to"]) for model in granted if model["name"] == "iris"] == [1]
        assert (await admin.delete("/admin/models/iris/grants/acme")).status_code == 200
        assert (await admin.delete("/admin/models/iris/grants/acme")).status_code == 404


async def test_people_are_limited_by_the_default_plan(site):
    """Every request of theirs is charged; the limits are their own, and the fields say so."""
    first, second = person(site, "admin"), person(site, "auditor")
    async with site.client() as client:
        headers = await token_of(client, first)
        answer = await client.get("/admin/tenants", headers=headers)
        assert answer.headers["ratelimit-policy"].startswith('"plan-requests-60";q=600;w=60')
        for _ in range(599):
            assert (await client.get("/v1/me", headers=headers)).status_code == 200
        assert (await client.get("/admin/tenants", headers=headers)).status_code == 429
        assert (await client.get("/v1/me", headers=await token_of(client, second))).status_code == 200


async def follow():
    """Until every process has read the change counter: it does so four times a second."""
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def contents(site, *tables):
    """Every row of these tables, or of all but those that signing in or following writes."""
    ignored = {"sign_in_failures", "chains", "alembic_version"}
    with site.database.reading(EVERY_TENANT) as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            if table.name in (tables or {each.name for each in Base.metadata.sorted_tables} - ignored):
                found[table.name] = sorted(map(str, session.execute(select(table))))
        assert session.scalar(select(func.count()).select_from(Base.metadata.tables["tenants"]))
    return found
