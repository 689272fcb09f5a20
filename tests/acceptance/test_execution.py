"""Models that take long, hang, fail or look around them: what the other callers notice of it."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from examination.bundled import train
from inference.gathering import SLOTS
from inference.pool import THREADS
from tests.support.beside import Bare
from tests.support.estimators import matrix
from tests.support.patience import SECONDS, become, until
from tests.support.site import ACTOR, IRIS
from tests.support.toy_models import Burns, Hangs, LooksAround, Raises, WrongShape

pytestmark = pytest.mark.anyio

SAMPLE = np.array([[0.0], [1.0], [2.0]])
TRIGGER = {"x": 5000}


def toy(site, name, model):
    site.model(name, model, SAMPLE, ["x"])
    return f"/v1/models/{name}/predict"


@pytest.mark.alone
def test_health_answers_while_everything_computes(site, serve):
    """A predict of 3 seconds, and a pool full of computations: `/health` within 50 ms, and other models answer.

    Within more on a machine that keeps everything waiting: twenty times what it takes a bare process to answer.
    """
    slow = toy(site, "slow", Hangs(3))
    # Four times as many computations as there are threads to begin with.
    busy = [toy(site, f"busy-{number}", Burns(3)) for number in range(4 * THREADS // SLOTS)]
    server, key = serve(site, ADYTON_REQUEST_TIMEOUT_SECONDS="60"), site.key()
    worst, others = 0.0, []
    with Bare() as bare, server.client(key) as client:
        client.post("/predict", json=IRIS)
        sockets = [ask(server.port, path, key, TRIGGER) for path in [slow, *busy] for _ in range(SLOTS)]
        end = time.monotonic() + 3
        while time.monotonic() < end:
            begun = time.perf_counter()
            assert client.get("/health").status_code == 200
            worst = max(worst, time.perf_counter() - begun)
            bare.ask()
            others.append(client.post("/predict", json=IRIS).status_code)
            time.sleep(0.01)
        for connection in sockets:
            assert connection.recv(12)[9:12] == b"200"
            connection.close()
    assert set(others) == {200}
    assert worst < 0.05 + 20 * bare.slowest_seconds, f"{worst * 1e3:.0f} ms, {bare.slowest_seconds * 1e3:.0f} ms"


def ask(port, path, key, body):
    """A request that is sent and not waited for."""
    text = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=2 * SECONDS)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n".encode()
        + text
    )
    return connection


async def test_a_model_that_hangs_again_and_again_is_taken_out_loudly_and_alone(site, caplog):
    """Its callers get 503 at their deadline, and then at once; readiness says so; the others go on."""
    path = toy(site, "hangs", Hangs(3600))
    timeout = 2
    site = type(site)(site.directory, request_timeout_seconds=timeout)
    async with site.client(site.key()) as client:
        assert (await client.post(path, json={"x": 1})).status_code == 200
        assert (await client.get("/health/ready")).json()["checks"]["models"] == "ok"
        first = await asyncio.gather(*(client.post(path, json=TRIGGER) for _ in range(4)))
        assert {answer.status_code for answer in first} == {503}
        await become(lambda: says_degraded(client))
        begun = time.monotonic()
        out = await client.post(path, json={"x": 1})
        assert (out.status_code, out.json()["type"]) == (503, "/problems/model-not-available")
        assert time.monotonic() - begun < timeout / 2
        assert (await client.post("/predict", json=IRIS)).status_code == 200
    assert any(record.levelname == "CRITICAL" and "hangs version 1" in record.message for record in caplog.records)


async def says_degraded(client) -> bool:
    ready = await client.get("/health/ready")
    return (ready.status_code, ready.json()["checks"]["models"]) == (200, "degraded")


@pytest.mark.parametrize("model", [Raises(), WrongShape()], ids=["raises", "wrong shape"])
async def test_a_model_that_fails_on_a_row_fails_that_request_alone(site, model, caplog):
    """500, recorded as failed, charged, and without a word of the row in answer or log."""
    path = toy(site, "fails", model)
    async with site.client(site.key()) as client:
        good, bad = {"x": 1}, TRIGGER
        answers = await asyncio.gather(*(client.post(path, json=bad if n % 5 == 0 else good) for n in range(40)))
        assert [a.status_code for a in answers] == [500 if n % 5 == 0 else 200 for n in range(40)]
        assert all("5000" not in a.text and "secret" not in a.text for a in answers)

        async def are_recorded() -> bool:
            records = (await client.get("/audit/predictions?outcome=failed")).json()["records"]
            return sum(record["count"] for record in records) == 8

        await become(are_recorded)
    assert "5000" not in caplog.text


async def test_what_looks_at_the_rows_beside_is_never_gathered(site):
    """Callers' rows are computed together only where that changes nothing; registration finds out where it does."""
    path = toy(site, "looks-around", LooksAround())
    async with site.client(site.key()) as client:
        details = (await client.get("/v1/models/looks-around")).json()["version_details"][0]
        assert details["compilation"]["batches"] is False
        answers = await asyncio.gather(*(client.post(path, json={"x": n}) for n in range(60)))
    assert [answer.json()["prediction"] for answer in answers] == list(map(float, range(60)))


ENGINES = {
    "trained": (HistGradientBoostingClassifier(max_iter=10, random_state=0), 1e-12, "sklearn"),
    "compiled": (RandomForestClassifier(20, random_state=0), 1e-6, "onnx"),
    "compiled linear": (LogisticRegression(max_iter=5000), 1e-6, "onnx"),
}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.filterwarnings("ignore")
async def test_together_is_as_alone(site, name):
    """Labels are identical, numbers within 1e-12 as trained and 1e-6 compiled, and nobody gets another's rows."""
    estimator, tolerance, engine = ENGINES[name]
    frame, target = matrix("wine")
    site.model("wines", estimator.fit(frame.to_numpy(), target), frame.to_numpy(), list(frame.columns))
    rows = frame.to_dict("records")
    async with site.client(site.key()) as client:
        details = (await client.get("/v1/models/wines")).json()["version_details"][0]
        assert (details["engine"], details["compilation"]["batches"]) == (engine, True)
        path = "/v1/models/wines/predict"
        alone = [(await client.post(path, json=row)).json() for row in rows]
        together = [a.json() for a in await asyncio.gather(*(client.post(path, json=row) for row in rows))]
    assert [a["prediction"] for a in together] == [a["prediction"] for a in alone]
    assert_allclose([list(a["probabilities"].values()) for a in together],
                    [list(a["probabilities"].values()) for a in alone], rtol=tolerance, atol=tolerance)  # fmt: skip
    assert_allclose(
        [list(a["probabilities"].values()) for a in together],
        estimator.predict_proba(frame.to_numpy()),
        rtol=1e-6,
        atol=1e-6,
    )


def test_a_caller_who_hangs_up_frees_the_place(site, serve):
    """The tenant's places under way are free again at once, not when the model is done."""
    path = toy(site, "slow", Hangs(3600))
    site.tenant("small")
    server = serve(site, ADYTON_REQUEST_TIMEOUT_SECONDS="600")
    key = site.key("small")
    site_limit(site, "small", 2)
    waiting = [ask(server.port, path, key, TRIGGER) for _ in range(2)]
    with server.client(key) as client:
        until(lambda: client.post("/predict", json=IRIS).status_code == 429)
        for connection in waiting:
            connection.close()
        until(lambda: client.post("/predict", json=IRIS).status_code == 200)


def site_limit(site, tenant, concurrency):
    from admin.limits import Limits  # noqa: PLC0415
    from admin.plans import set_plan  # noqa: PLC0415
    from admin.tenants import set_tenant  # noqa: PLC0415

    limits = Limits(["100000/minute"], ["100000/minute"])
    set_plan(site.database, actor=ACTOR, name="narrow", limits=limits, concurrency=concurrency)
    set_tenant(site.database, actor=ACTOR, name=tenant, plan="narrow")


def test_the_bundled_models_are_computed_on_the_loop(site):
    """Their measured cost is far under 200 µs a row."""

    async def inline():
        async with site.client() as client:
            registry = client.app.state.parts.registry
            found = {}
            for each in train():
                served = await registry.find(each.name, None, tenant_id="any")
                found[each.name] = served.lane.inline_rows
            return found

    found = asyncio.run(inline())
    assert all(rows >= 1 for rows in found.values()), found


def test_a_server_with_a_model_that_hangs_ends_when_it_is_told_to(site, serve):
    """A computation that cannot be stopped for an hour keeps the process for no two minutes."""
    path = toy(site, "hangs", Hangs(3600))
    server = serve(site, is_forked=False, ADYTON_REQUEST_TIMEOUT_SECONDS="1", ADYTON_SHUTDOWN_SECONDS="3")
    connection = ask(server.port, path, site.key(), TRIGGER)
    time.sleep(0.3)
    server.terminate()
    connection.close()
