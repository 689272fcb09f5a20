"""Erasing a tenant: what goes, what stays, and what still verifies."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from admin.tenants import erase_tenant
from admin.users import create_user
from audit.verification import faults
from db.prediction_log import ERASABLE
from db.reach import EVERY_TENANT
from db.tables import Event, Grant, Key, KeySecret, Model, PolicyRow, PredictionRecord, Tenant, User, WrappedSecret
from tests.support.contents import follow
from tests.support.patience import SECONDS
from tests.support.people import client_of, person, sign_in, token_of
from tests.support.server import cli_json
from tests.support.site import ACTOR, IRIS

pytestmark = pytest.mark.anyio


async def test_what_a_tenant_left_goes_and_its_seals_still_verify(any_site):
    """Keys, people, limits, grants and the fingerprint key are gone, records say nothing; another tenant's are whole."""
    site = any_site
    site.tenant("gone", requests=["1000/minute"])
    issued, kept = site.issue("gone", requests=["500/minute"], label="Jane's laptop"), site.key()
    site.grant("iris", "gone")
    theirs = person(site, "auditor", "gone")
    async with client_of(site) as admin:
        token = await token_of(admin, theirs)
        admins = admin.headers.pop("Authorization")
        for key in (issued.raw_key, kept):
            for _ in range(5):
                sent = {"X-API-Key": key, "X-Request-ID": "canary"}
                assert (await admin.post("/predict", json=IRIS, headers=sent)).status_code == 200
        admin.headers["Authorization"] = admins
        erased = (await admin.delete("/admin/tenants/gone")).json()
        assert (erased["status"], erased["records_erased"]) == ("erased", 5)
        assert (await admin.delete("/admin/tenants/gone")).json()["records_erased"] == 0
        await follow()
        admin.headers.pop("Authorization")
        for headers in ({"X-API-Key": issued.raw_key}, token):
            assert (await admin.get("/v1/me", headers=headers)).status_code == 401
        assert (await sign_in(admin, theirs)).status_code == 400
        admin.headers["Authorization"] = admins
        for method, path, body in (
            ("POST", "/admin/tenants/gone/keys", {}), ("PATCH", "/admin/tenants/gone", {"plan": "wide"}),
            ("PATCH", "/admin/tenants/gone", {"status": "active"}), ("PUT", "/admin/models/iris/grants/gone", None),
            ("POST", "/admin/users", {"email": "x@example.com", "role": "admin", "tenant": "gone"}),
            ("POST", "/admin/tenants", {"name": "gone"}),
        ):  # fmt: skip
            assert (await admin.request(method, path, json=body)).status_code == 409, path
        with site.database.reading(EVERY_TENANT) as session:
            tenant_id = erased["id"]
            for table in (Key, User, Grant, WrappedSecret, PolicyRow):
                assert session.scalars(select(table).where(table.tenant_id == tenant_id)).all() == [], table
            assert session.get(Key, issued.key.id) is None
            told = {
                event.verb: event.details for event in session.scalars(select(Event)) if event.tenant_id == tenant_id
            }
            assert told["key.issue"]["label"] == "set"
            assert "Jane" not in str(told)
            assert session.scalars(select(KeySecret).where(KeySecret.key_id == issued.key.id)).all() == []
            assert session.scalars(select(PolicyRow).where(PolicyRow.key_id == issued.key.id)).all() == []
            for record in session.scalars(select(PredictionRecord)):
                values = {getattr(record, name) for name in ERASABLE}
                assert (values == {None}) == (record.tenant_id == tenant_id)
    assert list(faults(site.database)) == []


async def test_what_was_under_way_is_erased_too(any_site):
    """A request that was admitted before and recorded after: any running server finishes the work."""
    site = any_site
    site.tenant("gone")
    key = site.key("gone")
    async with site.client(key) as client:
        parts = client.app.state.parts
        parts.follower.close()
        # What it had still to say is said; and the news lasts for as long as this takes.
        await asyncio.sleep(0)
        parts.directory.follow((), time.monotonic() + SECONDS)
        erase_tenant(site.database, actor=ACTOR, name="gone")
        # This process has not heard of it yet; within a second it would.
        answer = await client.post("/predict", json=IRIS)
        assert answer.status_code in (200, 401, 503)
        await client.app.state.parts.housekeeping.work()
        with site.database.reading(EVERY_TENANT) as session:
            assert all(record.salt is None for record in session.scalars(select(PredictionRecord)))
    assert list(faults(site.database)) == []


GIVEN = {
    "a key": lambda site: site.issue("gone"),
    "a person": lambda site: create_user(
        site.database, actor=ACTOR, email="x@example.com", role="admin", tenant="gone"
    ),
    "a grant": lambda site: site.grant("iris", "gone"),
}


@pytest.mark.parametrize("given", GIVEN)
def test_what_is_given_while_a_tenant_is_erased_goes_with_it(postgres_site, given):
    """Given and not committed yet when the erasing begins: one of the two waits for the other, and nothing is left."""
    site = postgres_site
    tenant_id = site.issue(site.tenant("gone")).key.tenant_id
    with ThreadPoolExecutor(2) as threads:
        with site.owner.transaction(EVERY_TENANT) as session:
            # Whoever changes something waits for this row just before the commit.
            session.execute(text("UPDATE change_counter SET value = value"))
            giving = threads.submit(GIVEN[given], site)
            wait_for_waiting(site, 1)
            erasing = threads.submit(erase_tenant, site.database, actor=ACTOR, name="gone")
            wait_for_waiting(site, 2)
        giving.result()
        erasing.result()
    assert left_of(site, tenant_id) == []


def wait_for_waiting(site, count: int) -> None:
    """Until so many transactions wait for a lock that another one holds."""
    deadline = time.monotonic() + SECONDS
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while True:
        with site.database.reading(EVERY_TENANT) as session:
            if session.scalar(waiting) >= count:
                return
        assert time.monotonic() < deadline, f"less than {count} wait"
        time.sleep(0.02)


def left_of(site, tenant_id: str) -> list[object]:
    """Every row that is the tenant's own and should have gone with it."""
    with site.database.reading(EVERY_TENANT) as session:
        return [
            row
            for table in (Key, User, Grant, WrappedSecret, PolicyRow)
            for row in session.scalars(select(table).where(table.tenant_id == tenant_id))
        ]


def test_erasing_again_takes_what_is_left(any_site):
    """Whatever came to be in an erased tenant, by a restored backup or by hand."""
    site = any_site
    site.tenant("gone")
    erase_tenant(site.database, actor=ACTOR, name="gone")
    with site.database.transaction(EVERY_TENANT) as session:
        gone, now = session.scalars(select(Tenant).where(Tenant.name == "gone")).one().id, datetime.now(UTC)
        session.add(Key(id="0" * 12, tenant_id=gone, label="", scopes=["predict"], created_at=now))
        session.add(Grant(model_id=session.scalars(select(Model.id)).first(), tenant_id=gone, created_at=now))
    erase_tenant(site.database, actor=ACTOR, name="gone")
    assert left_of(site, gone) == []


def test_the_operator_erases_on_the_command_line(site):
    """The same function; it may be repeated."""
    site.tenant("gone")
    site.issue("gone")
    assert cli_json(site, "tenants", "erase", "gone", "--yes")["status"] == "erased"
    assert cli_json(site, "tenants", "erase", "gone", "--yes")["records_erased"] == 0
    assert cli_json(site, "keys", "list", "--tenant", "gone") == []
