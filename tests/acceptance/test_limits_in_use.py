"""Limits with their use, in the API and on the command line; limits that change while they are used."""

from __future__ import annotations

import asyncio
import json

import pytest

from admin.key_terms import KeyTerms
from admin.keys import set_key
from admin.limits import Limits
from admin.tenants import set_tenant
from db.reach import EVERY_TENANT
from tests.support.contents import follow
from tests.support.limited import KOLKATA, Clock, admin_and_caller, make
from tests.support.people import person, token_of
from tests.support.server import cli_json, run_cli
from tests.support.site import ACTOR, IRIS

pytestmark = pytest.mark.anyio


async def test_a_change_is_obeyed_within_a_second_and_keeps_what_was_spent(site):
    """Another amount, another zone, a new secret, the plan's limit: the same meter goes on."""
    async with admin_and_caller(site) as (admin, caller):
        clock = Clock(admin)
        paths, key = await make(
            admin, "bank", {"plan": {"limits": ["5/calendar-day"]}, "key": {"limits": ["4/calendar-month"]}}
        )
        headers = {"X-API-Key": key}
        for _ in range(3):
            assert (await caller.post("/predict", json=IRIS, headers=headers)).status_code == 200

        async def left():
            await follow()
            shown = (await caller.get("/v1/usage", headers=headers)).json()["policies"]
            return {each["name"]: each["left"] for each in shown}

        await admin.patch(paths["plan"], json={"limits": ["9/calendar-day"]})
        await admin.patch(paths["key"], json={"limits": ["2/calendar-month"]})
        assert await left() == {"plan-requests-calendar-day": 6, "key-requests-calendar-month": 0}
        await admin.patch(paths["tenant"], json={"time_zone": "Europe/Berlin"})
        await admin.patch(paths["key"], json={"limits": ["8/calendar-month"]})
        assert await left() == {"plan-requests-calendar-day": 6, "key-requests-calendar-month": 5}
        zones = {each.get("time_zone") for each in (await caller.get("/v1/usage", headers=headers)).json()["policies"]}
        assert zones == {"Europe/Berlin"}
        headers = {"X-API-Key": (await admin.post(f"{paths['key']}/rotate", json={"overlap": "0s"})).json()["key"]}
        assert (await caller.post("/predict", json=IRIS, headers=headers)).status_code == 200
        assert await left() == {"plan-requests-calendar-day": 5, "key-requests-calendar-month": 4}
        clock.pass_seconds(8 * 3600)
        assert await left() == {"plan-requests-calendar-day": 9, "key-requests-calendar-month": 8}


async def test_a_new_window_begins_with_what_was_spent_before_it(any_site):
    """Of the key, of the tenant after it was put on another plan, of one model; and of a limit that was away meanwhile."""
    async with admin_and_caller(any_site) as (admin, caller):
        paths, key = await make(admin, "bank", {"key": {"limits": ["100/minute"], "rows": ["50/hour"]}})
        await admin.put("/admin/plans/other", json={"limits": ["20/calendar-month"], "rows": ["iris: 40/day"]})
        headers = {"X-API-Key": key}

        async def predict(times):
            for _ in range(times):
                batch = {"rows": [IRIS] * 2}
                answer = await caller.post("/v1/models/iris/predict/batch", json=batch, headers=headers)
                assert answer.status_code == 200, answer.text
            assert (await caller.post("/v1/models/wine/predict", json={}, headers=headers)).status_code == 422

        async def left():
            await follow()
            shown = (await caller.get("/v1/usage", headers=headers)).json()["policies"]
            return {each["name"]: each["left"] for each in shown}

        await predict(3)
        await admin.patch(paths["key"], json={"limits": ["10/hour", "wine: 2/calendar-day"], "rows": []})
        await admin.patch(paths["tenant"], json={"plan": "other"})
        assert await left() == {"key-requests-3600": 6, "key-requests-calendar-day@wine": 1,
                                "plan-requests-calendar-month": 16, "plan-rows-86400@iris": 34}  # fmt: skip
        await predict(2)
        await admin.patch(paths["key"], json={"rows": ["50/hour"]})
        assert await left() == {"key-requests-3600": 3, "key-requests-calendar-day@wine": 0, "key-rows-3600": 40,
                                "plan-requests-calendar-month": 13, "plan-rows-86400@iris": 30}  # fmt: skip


async def test_limits_of_plan_tenant_and_keys_are_shown_with_their_use(site):
    """Once each, page by page; revoked keys and other tenants' are not there; a tenant's admin and a key ask in vain."""
    async with admin_and_caller(site) as (admin, caller):
        terms = {
            "plan": {"limits": ["90/calendar-day"]},
            "tenant": {"rows": ["iris: 50/hour"]},
            "key": {"limits": ["5/minute"]},
        }
        paths, key = await make(admin, "bank", terms)
        others = [
            (await admin.post("/admin/tenants/bank/keys", json={"label": f"app {n}", "rows": ["9/minute"]})).json()
            for n in range(3)
        ]
        await admin.delete(f"/admin/keys/{others[0]['id']}")
        for raw_key, times in ((key, 2), (others[1]["key"], 1)):
            for _ in range(times):
                assert (await caller.post("/predict", json=IRIS, headers={"X-API-Key": raw_key})).status_code == 200
        usage = (await admin.get(f"{paths['tenant']}/usage")).json()
        assert (usage["tenant"], usage["plan"], usage["time_zone"], usage["next"]) == ("bank", "bank", KOLKATA, None)
        shown = {(each["level"], each["key"], each["label"], each["limit"]): each["used"] for each in usage["policies"]}
        key_id = paths["key"].rpartition("/")[2]
        assert shown == {
            ("plan", None, None, "90/calendar-day"): 3, ("tenant", None, None, "iris: 50/hour"): 3, ("key", key_id, "", "5/minute"): 2,
            ("key", others[1]["id"], "app 1", "9/minute"): 1, ("key", others[2]["id"], "app 2", "9/minute"): 0,
        }  # fmt: skip
        pages, after = [], {}
        while True:
            page = (await admin.get(f"{paths['tenant']}/usage", params={"limit": 1} | after)).json()
            pages += page["policies"]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert sorted(pages, key=str) == sorted(usage["policies"], key=str)
        assert (await admin.get("/admin/tenants/nobody/usage")).status_code == 404
        assert (await caller.get(f"{paths['tenant']}/usage", headers={"X-API-Key": key})).status_code == 401
        theirs = await token_of(caller, person(site, "admin", "bank"))
        assert (await caller.get(f"{paths['tenant']}/usage", headers=theirs)).status_code == 403


async def test_the_command_line_shows_a_tenants_usage_from_the_log(any_site):
    """The same policies with the same use as the server shows, beside the server and without one; a table for people."""
    async with admin_and_caller(any_site) as (admin, caller):
        terms = {"plan": {"limits": ["90/calendar-day"]}, "tenant": {"rows": ["iris: 50/hour"]},
                 "key": {"limits": ["5/minute", "wine: 9/day"], "rows": ["7/calendar-month"]}}  # fmt: skip
        paths, key = await make(admin, "bank", terms)
        for rows in (2, 3):
            answer = await caller.post("/batch_predict", json=[IRIS] * rows, headers={"X-API-Key": key})
            assert answer.status_code == 200
        served = (await admin.get(f"{paths['tenant']}/usage")).json()
        shown = await asyncio.to_thread(cli_json, any_site, "tenants", "usage", "bank")
        every = await asyncio.to_thread(cli_json, any_site, "usage")
    (bank,) = [each for each in every if each["tenant"] == "bank"]
    assert {each["name"]: each["used"] for each in bank["policies"]} == {
        "plan-requests-calendar-day": 2, "tenant-rows-3600@iris": 5
    }  # fmt: skip
    assert {each["tenant"] for each in every} == {"acme", "bank"}
    assert shown.pop("counted_by") == "log"
    assert [without_times(each) for each in shown["policies"]] == [without_times(each) for each in served["policies"]]
    assert {each["name"]: each["used"] for each in shown["policies"]} == {
        "plan-requests-calendar-day": 2, "tenant-rows-3600@iris": 5, "key-requests-60": 2, "key-requests-86400@wine": 0,
        "key-rows-calendar-month": 5,
    }  # fmt: skip
    table = run_cli(any_site, "tenants", "usage", "bank", COLUMNS="200").stdout.splitlines()
    assert {line.split()[0] for line in table} >= {
        "tenant",
        "plan",
        "time_zone",
        "counted_by",
        "name",
        "key-requests-60",
    }
    table = run_cli(any_site, "usage", COLUMNS="200").stdout.splitlines()
    assert [line.split()[:2] for line in table if line.startswith("bank")] == [
        ["bank", "plan-requests-calendar-day"], ["bank", "tenant-rows-3600@iris"]
    ]  # fmt: skip
    assert run_cli(any_site, "tenants", "usage", "nobody").returncode == 1


def without_times(policy):
    return {member: value for member, value in policy.items() if member != "more_in_seconds"}


async def test_with_redis_the_command_line_asks_redis(template, tmp_path, redis):
    """What Redis counts and no log knows is shown; while Redis is gone the command says so in one line."""
    site = template.copy_to(tmp_path / "site", redis_url=redis.url)
    key = site.key(requests=["5/minute", "iris: 7/calendar-day"])
    async with site.client(key) as client:
        assert (await client.post("/predict", json=IRIS)).status_code == 200
        parts = client.app.state.parts
        holder = await parts.directory.find_key(key.encode())
        for _ in range(2):
            (await parts.quotas.charge_request(holder, "iris")).finish()

        def used():
            run = run_cli(site, "tenants", "usage", "acme", "--json", ADYTON_REDIS_URL=redis.url)
            shown = json.loads(run.stdout)
            assert shown["counted_by"] == "redis"
            return {each["name"]: each["used"] for each in shown["policies"] if each["level"] == "key"}

        assert await asyncio.to_thread(used) == {"key-requests-60": 3, "key-requests-calendar-day@iris": 3}
    redis.kill()
    run = run_cli(site, "tenants", "usage", "acme", ADYTON_REDIS_URL=redis.url)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert "Redis" in run.stderr
    site.close()


async def test_every_process_obeys_a_change_and_counts_on_together(template, tmp_path, redis):
    """Two processes on one Redis: another amount, another zone and a new window are the same in both, a second later."""
    site = template.copy_to(tmp_path / "site", redis_url=redis.url)
    site.tenant("bank", requests=["9/calendar-day"])
    key = site.issue("bank", requests=["8/minute"])
    async with site.client(key.raw_key) as one, site.client(key.raw_key) as other:

        async def left_after(one_more):
            await follow()
            answers = [await each.post("/predict", json=IRIS) for each in (one, other) for _ in range(one_more)]
            assert all(answer.status_code == 200 for answer in answers)
            shown = [(await each.get("/v1/usage")).json()["policies"] for each in (one, other)]
            counts = [{each["name"]: each["left"] for each in policies if each["quota"] < 100} for policies in shown]
            assert counts[0] == counts[1]
            return counts[0]

        assert await left_after(2) == {"key-requests-60": 4, "tenant-requests-calendar-day": 5}
        set_tenant(site.database, actor=ACTOR, name="bank", limits=Limits(["20/calendar-day"]), time_zone="Asia/Tokyo")
        terms = KeyTerms(requests=["10/2 minutes", "iris: 50/day"])
        set_key(site.database, actor=ACTOR, key_id=key.key.id, terms=terms, tenant_id=EVERY_TENANT)
        assert await left_after(1) == {
            "key-requests-120": 4, "key-requests-86400@iris": 44, "tenant-requests-calendar-day": 14
        }  # fmt: skip
    site.close()
