"""What admins do over HTTP: tenants, plans, keys, people, grants; and what they cannot."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.contents import contents, follow
from tests.support.people import PASSWORD, client_of, person, token_of

pytestmark = pytest.mark.anyio


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


async def test_an_answer_shows_the_change_that_it_answers(any_site):
    """Many change one thing at once, naming no revision: each is told of its own change, with a revision of its own.

    What is shown is what a later reading shows: an instant in UTC, however it was written.
    """
    key_id = any_site.issue().key.id
    async with client_of(any_site) as admin:
        for path, member, values in ((f"/admin/keys/{key_id}", "label", [f"label {n}" for n in range(12)]),
                                     ("/admin/plans/wide", "concurrency", range(1, 13))):  # fmt: skip
            answers = await asyncio.gather(*(admin.patch(path, json={member: value}) for value in values))
            made = [(answer, value) for answer, value in zip(answers, values, strict=True) if answer.status_code == 200]
            assert {answer.status_code for answer in answers} <= {200, 409}
            assert all(answer.json()[member] == value for answer, value in made)
            assert all(answer.headers["etag"] == f'"{answer.json()["revision"]}"' for answer, _ in made)
            assert len({answer.headers["etag"] for answer, _ in made}) == len(made)
        expiring = {"expires": "2031-01-01T00:00:00+02:00", "cidr": ["203.0.113.0/24"], "scope": ["predict"]}
        changed = await admin.patch(f"/admin/keys/{key_id}", json=expiring)
        assert changed.json() == (await admin.get(f"/admin/keys/{key_id}")).json()
        assert changed.json()["expires_at"] == "2030-12-31T22:00:00Z"


async def test_a_change_raises_the_revision_by_one(any_site):
    """Whatever is changed, and however many parts of it."""
    key_id = any_site.issue(any_site.tenant("bank")).key.id
    person(any_site, "auditor")
    async with client_of(any_site) as admin:
        users = (await admin.get("/admin/users")).json()["items"]
        (user_id,) = [user["id"] for user in users if user["role"] == "auditor"]
        key, user, bank = f"/admin/keys/{key_id}", f"/admin/users/{user_id}", "/admin/tenants/bank"
        limits = {"limit": ["9/minute"], "rows": ["99/minute"]}
        for method, path, shown, body in [
            ("PATCH", key, key, limits | {"label": "x", "model": ["iris"], "expires": "9d"}),
            ("POST", f"{key}/rotate", key, {}), ("DELETE", key, key, None),
            ("PATCH", bank, bank, limits | {"plan": "default"}), ("PATCH", bank, bank, {"status": "suspended"}),
            ("PATCH", bank, bank, {"status": "active"}), ("DELETE", bank, bank, None),
            ("PATCH", "/admin/plans/wide", "/admin/plans/wide", limits | {"concurrency": 9}),
            ("PUT", "/admin/plans/wide", "/admin/plans/wide", limits),
            ("POST", f"{user}/reset", user, {}), ("PATCH", user, user, {"status": "disabled"}),
            ("PATCH", user, user, {"status": "active"}),
        ]:  # fmt: skip
            before = (await admin.get(shown)).json()["revision"]
            answer = await admin.request(method, path, json=body)
            assert (answer.status_code, answer.json()["revision"]) == (200, before + 1), (method, path)
            assert (await admin.get(shown)).json()["revision"] == before + 1


async def test_a_plan_that_does_not_exist_is_not_made_by_who_expects_it(any_site):
    """404 for PATCH, 412 for PUT with `If-Match`, decided where the change is made; a bad name is no other case."""
    async with client_of(any_site) as admin:
        before = contents(any_site)
        for name in ("none", "NONE"):
            path = f"/admin/plans/{name}"
            for tag in ("*", '"1"'):
                assert (await admin.put(path, json={}, headers={"If-Match": tag})).status_code == 412
                assert (await admin.patch(path, json={}, headers={"If-Match": tag})).status_code == 404
            assert (await admin.patch(path, json={"revision": 1, "concurrency": 5})).status_code == 404
        assert contents(any_site) == before
        assert (await admin.put("/admin/plans/none", json={})).status_code == 200
        assert (await admin.put("/admin/plans/none", json={}, headers={"If-Match": "*"})).status_code == 200


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
