"""What is answered is what scikit-learn says."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from examination.bundled import train
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

BUNDLED = {bundled.name: bundled for bundled in train()}


@pytest.fixture
def site(shared_site):
    """One for all tests of this file."""
    return shared_site


def expected(bundled):
    labels = bundled.estimator.predict(bundled.sample).tolist()
    if not hasattr(bundled.estimator, "predict_proba"):
        return [{"prediction": label} for label in labels]
    names = [str(each) for each in bundled.estimator.classes_.tolist()]
    return [
        {"prediction": label, "probabilities": dict(zip(names, row.tolist(), strict=True))}
        for label, row in zip(labels, bundled.estimator.predict_proba(bundled.sample), strict=True)
    ]


def rows_of(bundled):
    names = list(bundled.features)
    return [dict(zip(names, row.tolist(), strict=True)) for row in bundled.sample]


def assert_same(found, wanted):
    assert found.keys() >= wanted.keys()
    if "probabilities" not in wanted:
        assert "probabilities" not in found
        assert_allclose(found["prediction"], wanted["prediction"], rtol=1e-6)
        return
    assert found["prediction"] == wanted["prediction"]
    assert type(found["prediction"]) is type(wanted["prediction"])
    assert found["probabilities"].keys() == wanted["probabilities"].keys()
    assert_allclose(list(found["probabilities"].values()), list(wanted["probabilities"].values()), atol=1e-6)


@pytest.mark.parametrize("name", sorted(BUNDLED))
async def test_every_row_of_the_bundled_data_sets_is_answered_as_scikit_learn_does(site, name):
    """Singly and in a batch, labels are identical and probabilities within 1e-6."""
    bundled = BUNDLED[name]
    wanted, rows = expected(bundled), rows_of(bundled)
    async with site.client(site.key()) as client:
        batch = (await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows})).json()
        singles = [(await client.post(f"/v1/models/{name}/predict", json=row)).json() for row in rows]
    assert batch["count"] == len(rows)
    for found, each, row in zip(batch["predictions"], wanted, singles, strict=True):
        assert_same(found, each)
        assert_same(row, each)
        assert (row["model"], row["version"]) == (name, "1")


async def test_the_default_model_answers_on_the_short_routes(site):
    """`/predict` takes a row and `/batch_predict` a list of rows, for `iris`."""
    async with site.client(site.key()) as client:
        one = (await client.post("/predict", json=IRIS)).json()
        many = (await client.post("/batch_predict", json=[IRIS, IRIS])).json()
    assert one["prediction"] == "setosa"
    assert [each["prediction"] for each in many["predictions"]] == ["setosa", "setosa"]
    assert (one["model"], many["model"], many["count"]) == ("iris", "iris", 2)


async def test_a_thousand_rows_are_answered_in_order(site):
    """Each answer stands at its row's place."""
    rows = [IRIS, {**IRIS, "petal_length": 5.9, "petal_width": 2.3}] * 500
    async with site.client(site.key()) as client:
        answer = await client.post("/v1/models/iris/predict/batch", json={"rows": rows})
    labels = [each["prediction"] for each in answer.json()["predictions"]]
    assert labels == ["setosa", "virginica"] * 500


@pytest.mark.parametrize("version", ["1", "production"])
async def test_a_version_is_named_by_itself_or_by_an_alias(site, version):
    """Both say which version answered."""
    async with site.client(site.key()) as client:
        answer = await client.post("/v1/models/iris/predict", params={"version": version}, json=IRIS)
        unknown = await client.post("/v1/models/iris/predict", params={"version": "9"}, json=IRIS)
    assert answer.json()["version"] == "1"
    assert unknown.status_code == 404


async def test_both_spellings_of_a_path_are_routes(site):
    """With and without a trailing slash, and neither is a redirect."""
    async with site.client(site.key()) as client:
        for path in ("/predict", "/predict/", "/v1/models/iris/predict/", "/health/"):
            answer = await client.request("GET" if "health" in path else "POST", path, json=IRIS)
            assert answer.status_code == 200


async def test_every_answer_carries_an_id_of_ours_beside_the_clients(site):
    """`X-Request-ID` is a UUIDv7 of the server's; the client's is kept as `client_request_id`."""
    async with site.client(site.key()) as client:
        answer = await client.post("/predict", json=IRIS, headers={"X-Request-ID": "theirs-1"})
        ours = answer.headers["X-Request-ID"]
        record = (await client.get(f"/audit/predictions/{ours}")).json()
    assert ours == answer.json()["request_id"] != "theirs-1"
    assert ours[14] == "7"
    assert record["client_request_id"] == "theirs-1"
