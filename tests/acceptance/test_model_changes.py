"""Versions change while partners are calling: nobody notices, and each record names what in fact answered."""

from __future__ import annotations

import asyncio
import collections
import hashlib
import json
import time

import numpy as np
import pytest
from sqlalchemy import select

from admin.facts import InvalidValue, WrongState
from admin.models.listings import trial_by
from admin.models.promotion import promote_version, retire_version, rollback_alias
from db.reach import EVERY_TENANT
from db.tables import PredictionRecord, Version
from inference.loading import Loader
from inference.pool import Pool
from tests.support.beside import Bare
from tests.support.patience import SECONDS, until
from tests.support.people import client_of
from tests.support.site import ACTOR, dumped
from tests.support.toy_models import Says
from tests.support.traffic import Traffic

SAMPLE = np.array([[0.0], [1.0], [2.0]])
ROW = {"x": 1}


def says(site, name, *versions, **more):
    for version in versions:
        site.model(name, Says(version), SAMPLE, ["x"], version=version, **more)


def trial_at(site):
    return trial_by(Loader(site.store, site.keyring.version_mac, Pool(), max_rows=10, patience_seconds=5))


def promote(site, name, version, **more):
    return promote_version(site.database, actor=ACTOR, name=name, version=version, trial=trial_at(site), **more)


def rollback(site, name, **more):
    return rollback_alias(site.database, actor=ACTOR, name=name, **more)


def test_nobody_notices_changes_under_load(site, serve, request):
    """Promote, roll back, canary, a broken file, a retirement, 200 times under 64 connections: no request fails.

    Every record names the version that answered, and the digest of its file, as the models themselves say.
    """
    times = 200 if request.config.getoption("--soak") else 30
    says(site, "says", "1", "2", "3")
    server = serve(site)
    with Traffic(server.port, site.key(), row=ROW, path="/v1/models/says/predict") as traffic:
        traffic.wait_for(200)
        for number in range(times):
            before = traffic.versions.copy()
            promoted = change(site, number)
            if promoted is not None:
                until(lambda: traffic.versions[promoted] > before[promoted])  # noqa: B023  asked here and now
            time.sleep(0.02)
        traffic.wait_for(len(traffic.answered) + 200)
    assert set(traffic.statuses) == {200}
    assert (traffic.unanswered, traffic.refused_connections) == (0, 0)
    with site.database.reading(EVERY_TENANT) as session:
        names = dict(session.execute(select(Version.id, Version.name)).all())
        records = session.scalars(select(PredictionRecord).where(PredictionRecord.outcome == "answered")).all()
        found = [(names[r.version_id], r.artifact_sha256, json.loads(r.outputs)[0]["prediction"]) for r in records]
    assert len(found) >= len(traffic.answered)
    digests = {version: hashlib.sha256(dumped(Says(version))).hexdigest() for version in ("1", "2", "3")}
    assert all(version == said and digest == digests[said] for version, digest, said in found)
    assert {said for _, _, said in found} == {"1", "2", "3"}


def change(site, number):
    """One of five changes; the version that answers from now on, where one was promoted for all keys."""
    kind = number % 5
    if kind == 0:
        promote(site, "says", "2")
        return "2"
    if kind == 1:
        rollback(site, "says")
    elif kind == 2:
        promote(site, "says", "2", share=10)
    elif kind == 3:
        with pytest.raises(InvalidValue):
            site.register("says", "broken.joblib", b"\x80\x04broken", is_apart=False)
    else:
        promoted = "3" if number % 2 else "1"
        promote(site, "says", promoted)
        return promoted
    return None


def test_every_process_follows_within_a_second(site, serve):
    """Two processes on one database and one folder: what one change promotes answers everywhere a second later.

    Later still on a machine that keeps everything waiting, by twenty times what it takes a bare process to answer.
    """
    says(site, "says", "1", "2")
    servers, key, latest = [serve(site), serve(site)], site.key(), []
    with Bare() as bare:
        for version in ("2", "1", "2"):
            promote(site, "says", version)
            changed_at = time.monotonic()
            for server in servers:
                while asked(server, key) != version:
                    bare.ask()
                    assert time.monotonic() < changed_at + 1.0 + 20 * bare.slowest_seconds
            latest.append(time.monotonic() - changed_at)
    print(f"followed after at most {max(latest) * 1e3:.0f} ms")  # noqa: T201


def asked(server, key, **query):
    with server.client(key) as client:
        answer = client.post("/v1/models/says/predict", json=ROW, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction"]


@pytest.mark.anyio
async def test_a_canary_has_its_share_of_keys_and_each_key_stays_on_its_side(site):
    """Ten percent of the keys, the same ones in every process and after a restart; others for another alias."""
    says(site, "says", "1", "2")
    promote(site, "says", "2", share=10)
    promote(site, "says", "1", alias="candidate")
    promote(site, "says", "2", alias="candidate", share=50)
    site.tenant("many")
    keys = [site.key("many") for _ in range(300)]
    sides = []
    for _ in range(2):
        async with site.client() as client:
            sides.append([await told(client, key) for key in keys for _ in range(2)])
            candidate = [await told(client, key, "candidate") for key in keys]
    assert sides[0] == sides[1]
    assert sides[0][::2] == sides[0][1::2]
    share = collections.Counter(sides[0][::2])["2"] / len(keys)
    assert 0.04 < share < 0.17
    assert 0.4 < collections.Counter(candidate)["2"] / len(keys) < 0.6


async def told(client, key, version=None):
    query = {"version": version} if version else {}
    answer = await client.post("/v1/models/says/predict", json=ROW, headers={"X-API-Key": key}, params=query)
    assert answer.json()["version"] == answer.json()["prediction"]
    return answer.json()["prediction"]


@pytest.mark.anyio
async def test_rolling_back_ends_a_canary_and_then_goes_back_version_by_version(any_site):
    """And says when there is nothing before; a retired version is passed over, and cannot be asked for."""
    site = any_site
    says(site, "says", "1", "2", "3")
    promote(site, "says", "2")
    promote(site, "says", "3")
    promote(site, "says", "1", share=50)
    assert rollback(site, "says")["canary"] is None
    with pytest.raises(WrongState):
        retire_version(site.database, actor=ACTOR, name="says", version="3")
    retire_version(site.database, actor=ACTOR, name="says", version="2")
    rollback(site, "says")
    async with site.client(site.key()) as client:
        assert (await client.post("/v1/models/says/predict", json=ROW)).json()["version"] == "1"
        assert (await client.post("/v1/models/says/predict?version=3", json=ROW)).json()["version"] == "3"
        assert (await client.post("/v1/models/says/predict?version=2", json=ROW)).status_code == 404
        assert (await client.get("/v1/models/says")).json()["versions"] == ["1", "3"]
    with pytest.raises(WrongState, match="no other version"):
        rollback(site, "says")


def test_every_promotion_and_rollback_raises_the_revision_by_one(any_site):
    """Also where versions from before are looked through, and where a canary begins or ends."""
    says(any_site, "says", "1", "2", "3")
    revisions = [promote(any_site, "says", version)["revision"] for version in ("2", "3", "2")]
    retire_version(any_site.database, actor=ACTOR, name="says", version="3")
    revisions.append(promote(any_site, "says", "1", share=5)["revision"])
    shown = [rollback(any_site, "says") for _ in range(3)]
    assert [(each["version"], each["canary"]) for each in shown] == [("2", None), ("2", None), ("1", None)]
    revisions += [each["revision"] for each in shown]
    assert revisions == list(range(revisions[0], revisions[0] + 7))


@pytest.mark.anyio
async def test_what_cannot_be_loaded_is_not_promoted_and_changes_nothing(site):
    """Neither where its file was altered before the promotion, nor where a server cannot load what was promoted."""
    says(site, "says", "1", "2")
    artifact = file_of(site, "2")
    content = artifact.read_bytes()
    async with site.client(site.key()) as client:
        artifact.chmod(0o644)
        artifact.write_bytes(content[:-1] + b"\0")
        with pytest.raises(WrongState, match="has been altered"):
            promote(site, "says", "2")
        # As if the file had been altered on this server's disk alone.
        promote_version(site.database, actor=ACTOR, name="says", version="2", trial=lambda *_: None)
        deadline = time.monotonic() + SECONDS
        while (await client.get("/health/ready")).json()["checks"]["models"] == "ok":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (await client.post("/v1/models/says/predict", json=ROW)).json()["prediction"] == "1"
        artifact.write_bytes(content)
        promote(site, "says", "2")
        while (await client.post("/v1/models/says/predict", json=ROW)).json()["prediction"] != "2":
            assert time.monotonic() < deadline + SECONDS
            await asyncio.sleep(0.05)
        while (await client.get("/health/ready")).json()["checks"]["models"] != "ok":
            assert time.monotonic() < deadline + 2 * SECONDS
            await asyncio.sleep(0.05)


def file_of(site, version):
    with site.database.reading(EVERY_TENANT) as session:
        sha256 = session.scalar(select(Version.artifact_sha256).where(Version.name == version))
    return site.settings.models_dir / sha256[:2] / sha256


@pytest.mark.anyio
async def test_versions_that_nobody_asks_for_are_unloaded_and_come_back(site):
    """What is loaded stays under the bound; whoever asks for what is not there waits for it, and gets it."""
    says(site, "says", *map(str, range(1, 9)))
    size = len(dumped(Says("1")))
    site = type(site)(site.directory, max_loaded_bytes=3 * size + 10)
    async with site.client(site.key()) as client:
        registry = client.app.state.parts.registry
        for _ in range(2):
            for version in range(1, 9):
                answer = await client.post(f"/v1/models/says/predict?version={version}", json=ROW)
                assert answer.json()["prediction"] == str(version)
                assert registry.loaded_bytes <= 3 * size + 10
        many = await asyncio.gather(*(client.post("/v1/models/says/predict?version=1", json=ROW) for _ in range(20)))
        assert {answer.json()["prediction"] for answer in many} == {"1"}


@pytest.mark.anyio
async def test_admins_promote_and_roll_back_over_http(site):
    """Within a second, with an event each; two who change one alias at once do not overwrite each other."""
    says(site, "says", "1", "2", is_public=True)
    async with client_of(site) as admin:
        path = "/admin/models/says/aliases/production"
        changed = await admin.put(path, json={"version": "2"})
        assert (changed.status_code, changed.json()["version"], changed.json()["before"]) == (200, "2", ["1"])
        tag = changed.headers["etag"]
        canary = await admin.put(path, json={"version": "1", "share": 25}, headers={"If-Match": tag})
        assert (canary.json()["canary"], canary.json()["share"]) == ("1", 25)
        assert (await admin.put(path, json={"version": "1"}, headers={"If-Match": tag})).status_code == 412
        assert (await admin.put(path, json={"version": "1", "revision": 1})).status_code == 409
        assert (await admin.post("/admin/models/says/rollback", json={})).json()["canary"] is None
        assert (await admin.post("/admin/models/says/rollback", json={})).json()["version"] == "1"
        assert (await admin.post("/admin/models/says/rollback", json={})).status_code == 409
        assert (await admin.put(path, json={"version": "1", "share": 101})).status_code == 422
        assert (await admin.put(path, json={"version": "9"})).status_code == 404
        assert (await admin.put("/admin/models/says/aliases/2", json={"version": "1"})).status_code == 422
        assert (await admin.put("/admin/models/nothing/aliases/production", json={"version": "1"})).status_code == 404
        assert (await admin.delete("/admin/models/says/versions/1")).status_code == 409
        assert (await admin.delete("/admin/models/says/versions/2")).status_code == 200
        assert (await admin.delete("/admin/models/says/versions/2")).status_code == 404
        shown = (await admin.get("/admin/models/says")).json()
        assert (shown["versions"], shown["aliases"]) == (["1"], {"production": "1"})
        verbs = [event["verb"] for event in (await admin.get("/admin/events")).json()["items"]]
        assert {"model.promote", "model.rollback", "model.retire"} <= set(verbs)
