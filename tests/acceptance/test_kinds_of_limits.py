"""Every kind of limit, on every owner, over HTTP and on the command line: written, shown, and spent to its end."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from admin.limits import Limits
from admin.tenants import set_tenant
from tests.support.contents import contents
from tests.support.limited import KOLKATA, Clock, admin_and_caller, make
from tests.support.people import client_of
from tests.support.server import cli_json, run_cli
from tests.support.site import ACTOR, IRIS
from tests.support.toy_models import Says

pytestmark = pytest.mark.anyio

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


REFUSED = [
    (["--limit", "5/minute", "--limit", "6/60 seconds"], '"5/minute" and "6/60 seconds" limit requests in the same window'),
    (["--rows", "iris: 5/calendar-day", "--rows", "iris: 6/calendar-day"], "limit rows in the same window of iris"),
    (["--limit", "irsi: 5/minute"], "no model is named irsi"), (["--limit", "5/calendar-week"], "a limit is written"),
    (["--limit", "IRIS: 5/minute"], "is a model's"), (["--timezone", "Berlin"], "a time zone is an IANA name"),
    (["--timezone", "+02:00"], "a time zone is an IANA name"), (["--timezone", "europe/berlin"], "a time zone is"),
]  # fmt: skip


def test_what_cannot_be_is_refused_in_words(site):
    """Two limits with one name, a model that does not exist, what is no limit, and what is no time zone."""
    before = contents(site)
    for options, words in REFUSED:
        run = run_cli(site, "tenants", "set", "acme", *options)
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
