"""Erasing a tenant: what goes, what stays, and what still verifies."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from admin.tenants import erase_tenant
from audit.verification import faults
from db.prediction_log import ERASABLE
from db.reach import EVERY_TENANT
from db.tables import Event, Grant, Key, KeySecret, PolicyRow, PredictionRecord, User, WrappedSecret
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
        await asyncio.sleep(0.6)
        admin.headers.pop("Authorization")
        for headers in ({"X-API-Key": issued.raw_key}, token):
            assert (await admin.get("/v1/me", headers=headers)).status_code == 401
        assert (await sign_in(admin, theirs)).status_code == 401
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
        client.app.state.parts.follower.close()
        erase_tenant(site.database, actor=ACTOR, name="gone")
        # This process has not heard of it yet; within a second it would.
        answer = await client.post("/predict", json=IRIS)
        assert answer.status_code in (200, 401, 503)
        await client.app.state.parts.housekeeping.work()
        with site.database.reading(EVERY_TENANT) as session:
            assert all(record.salt is None for record in session.scalars(select(PredictionRecord)))
    assert list(faults(site.database)) == []


def test_the_operator_erases_on_the_command_line(site):
    """The same function; it may be repeated."""
    site.tenant("gone")
    site.issue("gone")
    assert cli_json(site, "tenants", "erase", "gone", "--yes")["status"] == "erased"
    assert cli_json(site, "tenants", "erase", "gone", "--yes")["records_erased"] == 0
    assert cli_json(site, "keys", "list", "--tenant", "gone") == []
