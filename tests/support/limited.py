"""Tenants in Kolkata with limits, and the time of a site's limits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.support.people import client_of

KOLKATA = "Asia/Kolkata"
NS = 1_000_000_000


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
