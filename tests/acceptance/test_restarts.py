"""A restart hands out nothing fresh: what was spent before it stays spent, to the request."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from admin.limits import Limits
from admin.plans import set_plan
from audit.hours import sum_up
from db.reach import EVERY_TENANT
from tests.support.hours import recounted_hours, stored_hours
from tests.support.log import assert_holds
from tests.support.site import ACTOR, IRIS
from tests.support.traffic import Traffic

BATCH = {"rows": [IRIS] * 10}
#: Eight of ten are spent, by requests or by batches of ten rows: level, unit, limit.
POLICIES = [
    ("key", "requests", "10/hour"),
    ("key", "rows", "100/5 minutes"),
    ("tenant", "requests", "10/5 minutes"),
    ("tenant", "rows", "100/hour"),
    ("plan", "requests", "10/day"),
    ("plan", "rows", "100/month"),
    ("tenant", "requests", "10/calendar-day"),
    ("tenant", "rows", "100/calendar-month"),
]


def limited_key(site, number: int, level: str, unit: str, limit: str) -> str:
    """A key of a tenant of its own, with one limit on that level."""
    limits = {unit: [limit]}
    name, plan = f"limited{number}", "wide"
    if level == "plan":
        plan = f"plan{number}"
        words = {"requests": ["100000/minute"], "rows": ["100000/minute"]} | limits
        set_plan(site.database, actor=ACTOR, name=plan, limits=Limits(words["requests"], words["rows"]))
    site.tenant(name, plan, **(limits if level == "tenant" else {}))
    with site.database.transaction(EVERY_TENANT) as session:
        # Where it is noon now, no day ends while the test runs.
        behind = datetime.now(UTC).hour - 12
        zone = f"Etc/GMT{behind:+}" if behind else "UTC"
        session.execute(text("UPDATE tenants SET time_zone = :zone WHERE name = :name"), {"zone": zone, "name": name})
    return site.key(name, **(limits if level == "key" else {}))


def spend(client, unit: str, count: int) -> list[int]:
    path, body = ("/v1/models/iris/predict/batch", BATCH) if unit == "rows" else ("/v1/models/iris/predict", IRIS)
    return [client.post(path, json=body).status_code for _ in range(count)]


@pytest.mark.parametrize(("database", "how"), [("site", "kill"), ("site", "terminate"), ("postgres_site", "kill")])
def test_after_a_restart_exactly_what_was_left_is_left(request, serve, database, how):
    """Of keys', tenants' and plans' limits of minutes, hours, days and months; at 80 %, 20 % is left, and nothing over."""
    site = request.getfixturevalue(database)
    keys = [limited_key(site, number, *policy) for number, policy in enumerate(POLICIES)]
    server = serve(site)
    for key, (_, unit, _) in zip(keys, POLICIES, strict=True):
        with server.client(key) as client:
            assert spend(client, unit, 8) == [200] * 8
    getattr(server, how)()
    server.start()
    for key, policy in zip(keys, POLICIES, strict=True):
        with server.client(key) as client:
            assert spend(client, policy[1], 3) == [200, 200, 429], policy
    # What is refused costs nothing, and a second restart changes nothing either.
    getattr(server, how)()
    server.start()
    for key, policy in zip(keys, POLICIES, strict=True):
        with server.client(key) as client:
            assert spend(client, policy[1], 1) == [429], policy


def test_refused_requests_stay_charged_after_a_restart(site, serve):
    """A body that is refused spends a request, one by one or joined in one record; a refused charge spends nothing."""
    server, key = serve(site), site.key(requests=["10/hour"], rows=["3/hour"])
    with server.client(key) as client:
        assert [client.post("/predict", json={"no": 1}).status_code for _ in range(5)] == [422] * 5
        assert spend(client, "requests", 2) == [200, 200]
        assert spend(client, "rows", 1) == [422], "more than the limit on rows could ever allow"
        seen = client.get("/v1/usage").json()
    assert server.terminate() == 0
    server.start()
    with server.client(key) as client:
        assert left(client.get("/v1/usage").json()) == left(seen) == {"key-requests-3600": 2, "key-rows-3600": 1}
        record = client.get("/audit/predictions", params={"outcome": "refused:invalid-rows"}).json()["records"]
        assert (sum(each["count"] for each in record), sum(each["charged_requests"] for each in record)) == (5, 5)
        assert spend(client, "requests", 3) == [200, 429, 429]


def left(usage) -> dict:
    return {policy["name"]: policy["left"] for policy in usage["policies"] if policy["name"].startswith("key")}


@pytest.mark.parametrize("database", ["site", "postgres_site"])
def test_hours_equal_a_recount_after_kills(request, serve, rounds, database):
    """A server under load is killed again and again while its log is counted; every charge is counted once."""
    site = request.getfixturevalue(database)
    server = serve(site)
    with Traffic(server.port, site.key(), connections=16) as traffic:
        for _ in range(rounds(20, 2)):
            traffic.wait_for(len(traffic.answered) + 200)
            sum_up(site.database)
            server.kill()
            server.start()
    server.terminate()
    sum_up(site.database)
    assert stored_hours(site.database) == recounted_hours(site.database)
    charged = sum(sums[2] for sums in stored_hours(site.database).values())
    assert charged >= len(traffic.answered)
    assert_holds(site.database, traffic.answered)
