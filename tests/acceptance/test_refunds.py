"""Only what the service failed to do is given back: not what a caller's own row or slowness made fail."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer

from tests.support.site import IRIS, Site
from tests.support.toy_models import Hangs, Raises

pytestmark = pytest.mark.anyio

POSITIVE = np.linspace(1.0, 50.0, 40)[:, None]
IS_LARGE = (POSITIVE[:, 0] > 20).astype(int)


def with_logarithm():
    return make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(POSITIVE, IS_LARGE)


def with_box_cox():
    return make_pipeline(PowerTransformer("box-cox"), LogisticRegression()).fit(POSITIVE, IS_LARGE)


async def used(client) -> list[int]:
    """How much of each limit on requests is used."""
    policies = (await client.get("/v1/usage")).json()["policies"]
    return [policy["used"] for policy in policies if policy["name"] == "key-requests-3600"]


async def outcomes(client) -> list[tuple[str, int, int]]:
    records = (await client.get("/audit/predictions")).json()["records"]
    return sorted((record["outcome"], record["status"], record["count"]) for record in records)


@pytest.mark.parametrize(("make", "row"), [(with_logarithm, {"x": -5.0}), (with_box_cox, {"x": -5.0})])
async def test_a_row_that_makes_the_model_raise_is_charged(site, make, row):
    """500 with the row's pointer, no `Retry-After`, a `failed` record, and after five of them the limit is spent."""
    site.model("m", make(), POSITIVE, ["x"])
    async with site.client(site.key(requests=["5/hour"])) as client:
        answers = [await client.post("/v1/models/m/predict", json=row) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [500] * 5 + [429]
        problem = answers[0].json()
        assert problem["type"] == "/problems/model-failed"
        assert [error["at"] for error in problem["errors"]] == [""]
        assert "Retry-After" not in answers[0].headers
        assert "-5" not in problem["detail"] + str(problem["errors"])
        assert await used(client) == [5]
        found = await outcomes(client)
    assert {outcome[:2] for outcome in found} == {("failed", 500), ("refused:quota-exceeded", 429)}
    assert sum(count for outcome, _, count in found if outcome == "failed") == 5


async def test_the_row_at_fault_is_found_in_a_batch(site):
    """Wherever it stands, by its pointer; the others would have been answered."""
    site.model("raises", Raises(), POSITIVE, ["x"])
    async with site.client(site.key(requests=["100/hour"])) as client:
        for at in (0, 41, 99):
            rows = [{"x": 1.0}] * at + [{"x": 5000.0}] + [{"x": 1.0}] * (99 - at)
            answer = await client.post("/v1/models/raises/predict/batch", json={"rows": rows})
            assert answer.status_code == 500
            assert [error["at"] for error in answer.json()["errors"]] == [f"/rows/{at}"]
            assert "5000" not in answer.json()["detail"] + str(answer.json()["errors"])
        assert await used(client) == [3]


def short(site, tmp_path) -> Site:
    """The same installation with a deadline of a second."""
    return site.copy_to(tmp_path / "short", request_timeout_seconds=1.0)


async def test_a_deadline_that_falls_into_the_computation_is_charged(site, tmp_path):
    """Whose rows take too long has had the work done."""
    site.model("hangs", Hangs(3), POSITIVE, ["x"])
    site = short(site, tmp_path)
    async with site.client(site.key(requests=["9/hour"])) as client:
        answer = await client.post("/v1/models/hangs/predict", json={"x": 5000.0})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/deadline")
        assert await used(client) == [1]
        assert ("failed", 503, 1) in await outcomes(client)
    site.close()


async def test_a_deadline_that_the_sender_used_up_is_charged(site, tmp_path):
    """A body whose last byte comes too late, and one that leaves no time for anything else."""
    site = short(site, tmp_path)
    async with site.client(site.key(requests=["9/hour"])) as client:

        async def late():
            yield json.dumps(IRIS).encode()[:-1]
            await asyncio.sleep(5)
            yield b"}"

        answer = await client.post("/predict", content=late(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert await used(client) == [1]
    site.close()


async def test_the_services_own_failures_are_given_back(site):
    """A log that is closed, a version that cannot be loaded."""
    version = site.model("gone", Raises(), POSITIVE, ["x"], version="1")
    async with site.client(site.key(requests=["9/hour"])) as client:
        registry = client.app.state.parts.registry
        registry._loaded.clear()
        for path in site.settings.models_dir.rglob(version.artifact_sha256):
            path.unlink()
        answer = await client.post("/v1/models/gone/predict", json={"x": 1.0})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/model-not-available")
        assert await used(client) == [0]
        client.app.state.parts.log.close(5)
        assert (await client.post("/predict", json=IRIS)).status_code == 503
        assert await used(client) == [0]
