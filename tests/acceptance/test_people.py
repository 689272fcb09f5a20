"""People: passwords, signing in, being slowed, being shut out."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from admin.changes import Operator
from admin.users import create_user, disable_user
from db.reach import EVERY_TENANT
from db.tables import User
from tests.support.contents import follow
from tests.support.people import PASSWORD, client_of, person, sign_in, token_of
from tests.support.server import cli_json, run_cli
from tests.support.site import ACTOR, Site

pytestmark = pytest.mark.anyio

NEW = "quite other words, four of them"


def nobody(answer):
    body = answer.json() | {"request_id": ""}
    return answer.status_code, body, {n: v for n, v in answer.headers.items() if n not in ("x-request-id", "date")}


async def test_nobody_learns_who_there_is(any_site):
    """An unknown name, a wrong password, a disabled person, a suspended tenant's: the same words and the same work."""
    site = any_site
    right = person(site)
    disabled = create_user(site.database, actor=ACTOR, email="d@example.com", role="admin", password=PASSWORD).user
    disable_user(site.database, actor=ACTOR, user_id=disabled.id)
    site.tenant("gone")
    theirs = person(site, "admin", "gone")
    site.suspend("gone")
    attempts = {"unknown": ("x@example.com", PASSWORD), "wrong": (right, "not the password"), "disabled": ("d@example.com", PASSWORD),
                "suspended": (theirs, PASSWORD), "long": (right, "x" * 1025), "nul": (right, "x\0y"), "empty": ("", ""),
                "nul in the name": ("a\0@x", "x"), "odd": ("\u00e9' OR 1=1 --@x", "x")}  # fmt: skip
    async with site.client() as client:
        took = {name: [] for name in (*attempts, "right")}
        answers = []
        for _ in range(3):
            for name, (email, password) in attempts.items():
                started = time.process_time()
                answers.append(nobody(await sign_in(client, email, password)))
                took[name].append(time.process_time() - started)
            started = time.process_time()
            assert (await sign_in(client, right)).status_code == 200
            took["right"].append(time.process_time() - started)
    assert (answers[0][0], answers[0][1]["error"]) == (400, "invalid_grant")
    assert all(answer == answers[0] for answer in answers)
    medians = {name: statistics.median(times) for name, times in took.items()}
    # Another tenth of a second would be a hash more or less.
    assert max(medians.values()) < 1.6 * min(medians.values()), medians


async def test_a_password_that_was_set_is_changed_first(any_site):
    """Until then its token opens nothing but the change; afterwards it is dead, and the new one opens all."""
    async with client_of(any_site) as admin:
        made = (await admin.post("/admin/users", json={"email": "New@Example.com", "role": "admin"})).json()
        assert (made["email"], made["must_change_password"]) == ("new@example.com", True)
        theirs = await token_of(admin, "NEW@example.com", made["password"])
        admins = admin.headers.pop("Authorization")
        assert (await admin.get("/v1/me", headers=theirs)).json()["must_change_password"] is True
        refused = await admin.get("/admin/tenants", headers=theirs)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/password-change-required")
        change = {"current_password": made["password"], "new_password": NEW}
        assert (
            await admin.post("/auth/password", json=change | {"current_password": "x"}, headers=theirs)
        ).status_code == 401
        for weak in (
            "short",
            made["email"] + "1234",
            "passwordpassword",
            "aaaaaaaaaaaaaaaaaaaa",
            "x" * 2000,
            made["password"],
        ):
            answer = await admin.post("/auth/password", json=change | {"new_password": weak}, headers=theirs)
            assert answer.status_code == 422
            assert weak not in answer.text
        assert (await admin.get("/admin/tenants", headers=theirs)).status_code == 403, "none of them is a change"
        both = await asyncio.gather(*(admin.post("/auth/password", json=change, headers=theirs) for _ in range(2)))
        assert sorted(answer.status_code for answer in both) in ([204, 401], [204, 409])
        await follow()
        assert (await admin.get("/v1/me", headers=theirs)).status_code == 401
        theirs = await token_of(admin, "new@example.com", NEW)
        assert (await admin.get("/admin/tenants", headers=theirs)).status_code == 200
        reset = await admin.post(f"/admin/users/{made['id']}/reset", json={}, headers={"Authorization": admins})
        assert reset.json()["must_change_password"] is True
        await follow()
        assert (await admin.get("/v1/me", headers=theirs)).status_code == 401
        assert (await sign_in(admin, "new@example.com", NEW)).status_code == 400
        with any_site.database.reading(EVERY_TENANT) as session:
            assert session.get(User, made["id"]).password_digest.startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_guessing_is_slowed_alike_for_names_that_are_and_are_not(site):
    """After five failures the next waits; the right password too, from there; elsewhere it opens, and clears."""
    known = person(site)
    async with site.client() as client:
        for name in (known, "unknown@example.com"):
            failures = [nobody(await sign_in(client, name, "wrong")) for _ in range(5)]
            assert {failure[0] for failure in failures} == {400}
            # Where an attempt takes a second, the wait is over with it; the next one is longer.
            while (await sign_in(client, name, "wrong")).status_code == 400:
                failures.append(failures[0])
            slowed = await sign_in(client, name.upper())
            assert (slowed.status_code, slowed.json()["error"]) == (429, "temporarily_unavailable")
            assert 1 <= int(slowed.headers["retry-after"]) <= 2 ** (len(failures) - 4)
        client._transport.client = ("192.0.2.1", 1)
        assert (await sign_in(client, known)).status_code == 200
        client._transport.client = ("127.0.0.1", 1)
        while (answer := await sign_in(client, known)).status_code == 429:
            await asyncio.sleep(int(answer.headers["retry-after"]))
        assert answer.status_code == 200
        assert (await sign_in(client, known, "wrong")).status_code == 400, "what succeeded is forgotten"


async def test_a_hundred_guesses_at_once_are_not_all_the_first(any_site):
    """They are counted before they are looked at, and nobody else waits for them."""
    known, other = person(any_site), person(any_site, "auditor")
    async with any_site.client() as client:
        guesses = [asyncio.create_task(sign_in(client, known, f"guess {number}")) for number in range(100)]
        while not any(guess.done() for guess in guesses):
            await asyncio.sleep(0.001)
        assert (await client.get("/health")).status_code == 200
        assert not all(guess.done() for guess in guesses)
        statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
        assert set(statuses) <= {400, 429, 503}
        # As many as found the count at less than five at once: one for each connection to the database.
        assert statuses.count(400) <= 5 + 15
        assert (await sign_in(client, other)).status_code == 200


async def test_people_can_be_switched_off(site):
    """No password is taken, tokens of people are nobody's, and keys go on working."""
    email, key = person(site), site.key()
    async with site.client() as client:
        theirs = await token_of(client, email)
    off = Site(site.directory, site.settings.database_url, password_login=False)
    async with off.client() as client:
        answer = await sign_in(client, email)
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
        assert (await client.get("/v1/me", headers=theirs)).status_code == 401
        assert (await client.get("/v1/me", headers={"X-API-Key": key})).status_code == 200
    off.close()


def test_people_on_the_command_line(site):
    """Made, listed, reset, disabled and enabled; a password is shown once, and read from standard input if so asked."""
    made = cli_json(site, "users", "create", "a@example.com", "--role", "admin")
    assert len(made["password"]) >= 15
    of_one = cli_json(site, "users", "create", "b@example.com", "--role", "auditor", "--tenant", "acme")
    assert of_one["tenant"] == "acme"
    listed = cli_json(site, "users", "list")
    assert [(user["email"], user["role"], user["tenant"]) for user in listed] == [
        ("a@example.com", "admin", None),
        ("b@example.com", "auditor", "acme"),
    ]
    assert made["password"] not in str(listed)
    assert cli_json(site, "users", "disable", "a@example.com")["status"] == "disabled"
    assert run_cli(site, "users", "disable", "a@example.com").returncode == 1
    assert cli_json(site, "users", "enable", "A@example.com")["status"] == "active"
    assert cli_json(site, "users", "reset", "a@example.com")["password"] != made["password"]
    for arguments in (("create", "a@example.com", "--role", "admin"), ("create", "x", "--role", "admin"), ("create", "c@example.com", "--role", "root"),
                      ("create", "c@example.com", "--role", "admin", "--tenant", "nobody"), ("reset", "nobody@example.com"),
                      ("create", "c@example.com", "--role", "admin", "--password-stdin")):  # fmt: skip
        refused = run_cli(site, "users", *arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), arguments


def test_serve_refuses_whom_up_made(site):
    """Its key, its admin and its auditor; nobody else's."""
    made = create_user(site.database, actor=Operator("adyton up"), email="admin@example.com", role="admin").user
    refused = run_cli(site, "serve")
    assert refused.returncode == 1
    assert "adyton users disable admin@example.com" in refused.stderr
    disable_user(site.database, actor=ACTOR, user_id=made.id)
    from tests.support.server import Server  # noqa: PLC0415

    Server(site, is_forked=False).kill()
