"""Every kind of limit, on every owner, over HTTP and on the command line: written, shown, and spent to its end."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admin.key_terms import KeyTerms
from admin.keys import set_key
from admin.limits import Limits
from admin.tenants import set_tenant
from db.reach import EVERY_TENANT
from tests.support.contents import contents, follow
from tests.support.people import client_of, person, token_of
from tests.support.server import cli_json, run_cli
from tests.support.site import ACTOR, IRIS
from tests.support.toy_models import Says

pytestmark = pytest.mark.anyio

KOLKATA = "Asia/Kolkata"
NS = 1_000_000_000
#: A limit with its policy's name after level and unit, and the window that `/v1/usage` shows.
KINDS = {
    "3/minute": ("60", {"window_seconds": 60}),
    "3/2 hours": ("7200", {"window_seconds": 7200}),
    "3/month": ("2592000", {"window_seconds": 2_592_000}),
    "3/calendar-day": ("calendar-day", {"calendar": "day", "time_zone": KOLKATA}),
    "3/calendar-month": ("calendar-month", {"calendar": "month", "time_zone": KOLKATA}),
    "iris: 3/30 seconds": ("30@iris", {"window_seconds": 30, "model": "iris"}),
    "iris: 3/calendar-day": ("calendar-day@iris", {"calendar": "day", "time_zone": KOLKATA, "model": "iris"}),
    "iris: 3/calendar-month": ("calendar-month@iris", {"calendar": "month", "time_zone": KOLKATA, "model": "iris"}),
}
LEVELS = ("plan", "tenant", "key")
UNITS = {"requests": "limits", "rows": "rows"}
PREDICTIONS = [
    ("/predict", IRIS), ("/batch_predict", [IRIS]), ("/v1/models/iris/predict", IRIS), ("/v1/models/%69ris/predict/", IRIS),
    ("/v1/models/iris/predict/batch", {"rows": [IRIS]}), ("/v1/models/iris/predict?version=production", IRIS),
]  # fmt: skip


class Clock:
    """The time of a site's limits, which the test owns from here on."""

    def __init__(self, client):
        self.now = int(datetime(2026, 7, 31, 21, tzinfo=ZoneInfo(KOLKATA)).timestamp()) * NS
        storage = client.app.state.parts.quotas.store.storage
        storage.clock = storage._wall_clock = lambda: self.now

    def pass_seconds(self, seconds):
        self.now += seconds * NS

    def seconds_left(self, period):
        """Until the day or the month ends in Kolkata, whose clocks are never changed."""
        now = datetime.fromtimestamp(self.now / NS, ZoneInfo(KOLKATA))
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        end = (
            midnight + timedelta(days=1)
            if period == "day"
            else (midnight.replace(day=1) + timedelta(days=31)).replace(day=1)
        )
        return int((end - now).total_seconds())


@asynccontextmanager
async def admin_and_caller(site):
    """Clients of one application: an admin's, and one without a credential."""
    async with site.sharing(), client_of(site) as admin, site.client() as caller:
        yield admin, caller


async def test_each_kind_is_written_shown_and_spent_over_http(site):
    """Shown as it was written, named by its kind, three times admitted, refused until the wait that is named is over."""
    async with admin_and_caller(site) as (admin, caller):
        clock = Clock(admin)
        for number, (level, unit, text) in enumerate(product(LEVELS, UNITS, KINDS)):
            (name, window), member = KINDS[text], UNITS[unit]
            owner, key = await make(admin, f"t{number}", {level: {member: [text]}})
            assert (await admin.get(owner[level])).json()[member] == [text]
            policy, headers = f"{level}-{unit}-{name}", {"X-API-Key": key}
            (usage,) = (await caller.get("/v1/usage", headers=headers)).json()["policies"]
            grows = clock.seconds_left(window["calendar"]) if "calendar" in window else 0
            about = {
                "name": policy,
                "unit": unit,
                "limit": text,
                "quota": 3,
                "used": 0,
                "left": 3,
                "more_in_seconds": grows,
            }
            assert usage == about | window
            if unit == "rows":
                never = await caller.post("/batch_predict", json=[IRIS] * 4, headers=headers)
                assert (never.status_code, never.json()["type"]) == (422, "/problems/exceeds-quota")
            await spend_to_its_end(caller, clock, headers, policy, window)


async def spend_to_its_end(caller, clock, headers, policy, window):
    seconds = window.get("window_seconds")
    for left in (2, 1, 0):
        answer = await caller.post("/predict", json=IRIS, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["RateLimit-Policy"] == f'"{policy}";q=3' + (f";w={seconds}" if seconds else "")
        assert answer.headers["RateLimit"].startswith(f'"{policy}";r={left};t=')
    refused = await caller.post("/predict", json=IRIS, headers=headers)
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, [policy])
    wait = int(refused.headers["Retry-After"])
    assert refused.headers["RateLimit"] == f'"{policy}";r=0;t={wait}'
    assert wait == (seconds + 1 if seconds else clock.seconds_left(window["calendar"]))
    clock.pass_seconds(wait - 1)
    assert (await caller.post("/predict", json=IRIS, headers=headers)).status_code == 429
    clock.pass_seconds(1)
    assert (await caller.post("/predict", json=IRIS, headers=headers)).status_code == 200


async def make(admin, name, terms):
    """Makes a plan, a tenant on it in Kolkata, and a key, with these terms; returns their paths and the key."""
    paths = {"plan": f"/admin/plans/{name}", "tenant": f"/admin/tenants/{name}"}
    assert (await admin.put(paths["plan"], json=terms.get("plan", {}))).status_code == 200
    tenant = {"name": name, "plan": name, "timezone": KOLKATA} | terms.get("tenant", {})
    made = await admin.post("/admin/tenants", json=tenant)
    assert (made.status_code, made.json()["time_zone"]) == (201, KOLKATA)
    issued = await admin.post(f"/admin/tenants/{name}/keys", json=terms.get("key", {}))
    assert issued.status_code == 201, issued.text
    return paths | {"key": f"/admin/keys/{issued.json()['id']}"}, issued.json()["key"]


async def test_what_is_shown_can_be_sent_back(site):
    """Every kind at once, in the order in which it was given; the command line's names for the members are taken too."""
    texts = list(KINDS)
    async with client_of(site) as admin:
        paths, _ = await make(admin, "bank", {})
        for level, path in paths.items():
            changed = (await admin.patch(path, json={"limits": texts, "rows": texts[::-1]})).json()
            assert (changed["limits"], changed["rows"]) == (texts, texts[::-1])
            again = {member: changed[member] for member in ("limits", "rows")}
            if level == "tenant":
                again["time_zone"] = changed["time_zone"]
            sent = (await admin.patch(path, json=again)).json()
            assert sent == changed | {"revision": changed["revision"] + 1}
            assert (await admin.patch(path, json={"limit": texts[:1]})).json()["limits"] == texts[:1]
            both = await admin.patch(path, json={"limit": texts[:1], "limits": texts[:1]})
            assert both.status_code == 422
        moved = (await admin.patch(paths["tenant"], json={"timezone": "Pacific/Apia"})).json()
        assert (moved["time_zone"], moved["limits"]) == ("Pacific/Apia", texts[:1])


def test_each_kind_is_written_and_shown_on_the_command_line(site):
    """On plan, tenant and key, for requests and rows, made and changed; `none` clears them."""
    texts = list(KINDS)
    options = [part for text in texts for part in ("--limit", text, "--rows", text)]
    cli_json(site, "plans", "set", "gold", *options)
    made = cli_json(site, "tenants", "create", "bank", "--plan", "gold", "--timezone", KOLKATA, *options)
    assert (made["time_zone"], made["limits"], made["rows"]) == (KOLKATA, texts, texts)
    key = cli_json(site, "keys", "create", "--tenant", "bank", *options)
    assert (key["limits"], key["rows"]) == (texts, texts)
    assert cli_json(site, "plans", "show", "gold")["rows"] == texts
    moved = ["--timezone", "Europe/Berlin"]
    for noun, name, more in (("plans", "gold", []), ("tenants", "bank", moved), ("keys", key["id"], [])):
        changed = cli_json(site, noun, "set", name, "--limit", texts[-1], "--rows", "none", *more)
        assert (changed["limits"], changed["rows"]) == (texts[-1:], [])
    shown = cli_json(site, "tenants", "show", "bank")
    assert (shown["time_zone"], shown["limits"]) == ("Europe/Berlin", texts[-1:])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--limit", "5/minute", "--limit", "6/60 seconds"], '"5/minute" and "6/60 seconds" limit requests in the same window'),
        (["--rows", "iris: 5/calendar-day", "--rows", "iris: 6/calendar-day"], "limit rows in the same window of iris"),
        (["--limit", "irsi: 5/minute"], "no model is named irsi"), (["--limit", "5/calendar-week"], "a limit is written"),
        (["--limit", "IRIS: 5/minute"], "is a model's"), (["--timezone", "Berlin"], "a time zone is an IANA name"),
        (["--timezone", "+02:00"], "a time zone is an IANA name"), (["--timezone", "europe/berlin"], "a time zone is"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(site, options, words):
    """Two limits with one name, a model that does not exist, what is no limit, and what is no time zone."""
    before = contents(site)
    for command in (["tenants", "create", "bank"], ["tenants", "set", "acme"]):
        run = run_cli(site, *command, *options)
        assert (run.returncode, run.stdout) == (1, "")
        assert words in run.stderr
    assert contents(site) == before


async def test_a_models_limit_counts_whatever_route_asks_it(site):
    """Six ways to ask `iris` share one budget (on a raw route it was not counted at all: api7/aisix#775); `wine` has its own."""
    async with site.client(site.key(requests=["iris: 5/minute", "100/minute"])) as client:
        answers = [await client.post(path, json=body) for path, body in PREDICTIONS]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[5].json()["violated-policies"] == ["key-requests-60@iris"]
        for model, status in (("wine", 422), ("nothing", 404), ("Iris", 404)):
            other = await client.post(f"/v1/models/{model}/predict", json={})
            assert other.status_code == status
        used = {each["name"]: each["used"] for each in (await client.get("/v1/usage")).json()["policies"]}
    assert used == {"key-requests-60@iris": 5, "key-requests-60": 8, "plan-requests-60": 8, "plan-rows-60": 5}


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


def without_times(policy):
    return {member: value for member, value in policy.items() if member != "more_in_seconds"}


LOOSER = [
    ("100/minute", "101/minute"), ("100/calendar-day", "101/calendar-day"), ("100/calendar-month", "101/calendar-month"),
    ("100/calendar-day", "2801/calendar-month"), ("100/calendar-month", "101/calendar-day"), ("100/month", "101/calendar-month"),
    ("100/calendar-month", "101/month"), ("100/calendar-day", "101/minute"), ("100/minute", "iris: 101/minute"),
    ("iris: 100/calendar-day", "iris: 101/hour"),
]  # fmt: skip


async def test_a_tenants_admin_gives_no_key_more_than_the_tenant_has(site):
    """Whatever the kinds of both limits; the most that is allowed is taken."""
    bank = site.tenant("bank")
    async with client_of(site, "admin", bank) as own:
        for bound, looser in LOOSER:
            set_tenant(site.database, actor=ACTOR, name=bank, limits=Limits([bound], [bound]))
            for member in UNITS.values():
                refused = await own.post("/admin/tenants/bank/keys", json={member: [looser]})
                assert (refused.status_code, "exceeds the tenant's limits" in refused.text) == (422, True), (
                    bound,
                    looser,
                )
                most = {member: [looser.replace("01/", "00/")]}
                assert (await own.post("/admin/tenants/bank/keys", json=most)).status_code == 201, (bound, most)


async def test_a_tenants_admin_learns_nothing_of_models_that_are_not_theirs(site):
    """A limit on a model that was not granted is refused in the words for one that does not exist."""
    site.model("secret", Says("a"), np.array([[0.0], [1.0]]), ["x"], is_public=False)
    site.tenant("bank")
    async with client_of(site, "admin", "bank") as own:
        words = [
            (await own.post("/admin/tenants/bank/keys", json={"limits": [f"{model}: 5/minute"]})).json()["detail"]
            for model in ("secret", "nothing")
        ]
        site.grant("secret", "bank")
        granted = await own.post("/admin/tenants/bank/keys", json={"limits": ["secret: 5/minute"]})
    assert words[0].replace("secret", "nothing") == words[1]
    assert granted.status_code == 201
