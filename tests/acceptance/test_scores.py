"""`include=scores`: what a model says of a row beside its label, under names, to those alone who ask for it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from examination.columns.sample_columns import rows_of
from tests.support.estimators import matrix, species, truths
from tests.support.patience import become
from tests.support.site import IRIS, dumped
from tests.support.toy_models import Counts

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

SPECIES = ["setosa", "versicolor", "virginica"]
WITH_SCORES = {"include": "scores"}


def wines():
    return matrix("wine")


#: An estimator, its data, the verb of its scores, and their names; the kinds are in tests/unit/test_scores.py.
SCORED = {
    "truth values": (make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), truths, "decision_function", ["true"]),
    "probabilities as well": (LogisticRegression(max_iter=1000), species, "decision_function", SPECIES),
    "three pairs": (SVC(decision_function_shape="ovo"), species, "decision_function",
                    ["setosa/versicolor", "setosa/virginica", "versicolor/virginica"]),
    "a detector": (OneClassSVM(), wines, "decision_function", ["inlier"]),
    "clusters": (make_pipeline(StandardScaler(), KMeans(4, n_init=1, random_state=0)), wines, "transform",
                 ["0", "1", "2", "3"]),
}  # fmt: skip
COMPILED = {"truth values", "clusters"}


@pytest.fixture
def site(shared_site):
    """One for all of them, each under its own name."""
    return shared_site


def registered(site, kind, estimator, data, **submission):
    """The fitted estimator, served under a name of its own, with its rows as a matrix and as JSON writes them."""
    name = kind.replace(" ", "-")
    frame, target = data()
    estimator.fit(frame.to_numpy(), target)
    site.register(name, "m.joblib", dumped(estimator), sample_name="s.csv", sample=frame.to_csv(index=False).encode(),
                  is_public=True, is_apart=False, **submission)  # fmt: skip
    return name, frame.to_numpy(), rows_of(frame)


async def served(client, name):
    await become(lambda: is_described(client, name))
    (version,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
    return version


async def is_described(client, name) -> bool:
    return (await client.get(f"/v1/models/{name}")).status_code == 200


@pytest.mark.parametrize("kind", SCORED)
async def test_scores_are_the_estimators_own_under_names(site, kind):
    """Every row, singly and in a batch, within 1e-9 as trained and 1e-5 compiled; the listing says which there are."""
    estimator, data, verb, names = SCORED[kind]
    name, values, rows = registered(site, kind, estimator, data)
    wanted = np.reshape(getattr(estimator, verb)(values), (len(rows), -1))
    async with site.client(site.key()) as client:
        version = await served(client, name)
        asked = client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows}, params=WITH_SCORES)
        found = (await asked).json()["predictions"]
        plain = (await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows})).json()["predictions"]
        one = (await client.post(f"/v1/models/{name}/predict", json=rows[7], params=WITH_SCORES)).json()
    assert version["scores"] == names
    is_compiled = version["compilation"]["scores"]["compiled"]
    assert is_compiled == (kind in COMPILED)
    assert all(list(each["scores"]) == names for each in found)
    tolerance = 1e-5 if is_compiled else 1e-9
    assert_allclose([list(each["scores"].values()) for each in found], wanted, rtol=tolerance, atol=1e-9)
    assert_allclose(list(one["scores"].values()), wanted[7], rtol=tolerance, atol=1e-7)
    assert [each | {"scores": found[number]["scores"]} for number, each in enumerate(plain)] == found
    assert all("scores" not in each for each in plain)


async def test_a_model_without_scores_says_so(site):
    """422 before the rows are charged; the listing had said it. Asked without, it answers."""
    name, _, rows = registered(site, "numbers", LinearRegression(), lambda: matrix("diabetes"))
    issued = site.issue()
    async with site.client(issued.raw_key) as client:
        assert (await served(client, name))["scores"] is None
        refused = await client.post(f"/v1/models/{name}/predict", json=rows[0], params=WITH_SCORES)
        answered = await client.post(f"/v1/models/{name}/predict", json=rows[0])
        record = (await client.get(f"/audit/predictions/{refused.headers['X-Request-ID']}")).json()
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-parameter")
    assert refused.json()["detail"] == "include: this version of the model has no scores; ask without it"
    assert (record["outcome"], record["model"], record["rows"]) == ("refused:invalid-parameter", name, 0)
    assert answered.status_code == 200


@pytest.mark.parametrize("value", ["", "score", "scores,probabilities", "Scores", "scores "])
async def test_include_takes_one_word(site, value):
    """Anything else is refused, on each of the four routes, in words that say which."""
    bodies = {"/predict": IRIS, "/batch_predict": [IRIS], "/v1/models/iris/predict": IRIS,
              "/v1/models/iris/predict/batch": {"rows": [IRIS]}}  # fmt: skip
    async with site.client(site.key()) as client:
        for path, body in bodies.items():
            refused = await client.post(path, json=body, params={"include": value})
            assert (refused.status_code, refused.json()["detail"]) == (422, "include: may only be scores"), path
            answer = (await client.post(path, json=body, params=WITH_SCORES)).json()
            (answer,) = answer.get("predictions", [answer])
            assert answer["scores"].keys() == answer["probabilities"].keys()
        twice = await client.post("/predict?include=scores&include=scores", json=IRIS)
    assert twice.status_code == 400


async def test_the_schema_of_an_answer_names_the_scores(site):
    """In OpenAPI, for each model that has any; the answers are what it says."""
    async with site.client(site.key()) as client:
        document = (await client.get("/openapi.json")).json()
        answer = (await client.post("/predict", json=IRIS, params=WITH_SCORES)).json()
    named = document["components"]["schemas"]["Scores.iris"]
    assert (named["required"], named["additionalProperties"]) == (list(answer["scores"]), False)
    for path, is_batch in (("/predict", False), ("/batch_predict", True)):
        operation = document["paths"][path]["post"]
        answers = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
        item = answers["predictions"]["items"]["properties"] if is_batch else answers
        assert item["scores"]["$ref"] == "#/components/schemas/Scores.iris"
        (include,) = [each for each in operation["parameters"] if each["name"] == "include"]
        assert (include["required"], "scores" in str(include["schema"])) == (False, True)


async def test_the_log_keeps_the_scores_that_were_answered(site):
    """As they left, and none where none were asked for."""
    async with site.client(site.key()) as client:
        answers = [(await client.post("/predict", json=IRIS, params=params)).json() for params in (WITH_SCORES, {})]
        records = [(await client.get(f"/audit/predictions/{each['request_id']}")).json() for each in answers]
    assert records[0]["outputs"][0]["scores"] == answers[0]["scores"]
    assert "scores" not in records[1]["outputs"][0]


async def test_names_of_scores_are_searched_for_personal_data(site):
    """As those of probabilities: a class that is an address is masked in the log, in a pair as well."""
    people = np.array(["anna@example.com", "bert@example.com", "carl@example.com"], dtype=object)

    def data():
        frame, target = matrix("iris")
        return frame, people[target]

    one = registered(site, "people", LinearSVC(random_state=0), data, is_compiled=False)
    pairs = registered(site, "pairs of people", SVC(decision_function_shape="ovo"), data, is_compiled=False)
    async with site.client(site.key()) as client:
        for name, _, rows in (one, pairs):
            await served(client, name)
            answer = (await client.post(f"/v1/models/{name}/predict", json=rows[0], params=WITH_SCORES)).json()
            record = (await client.get(f"/audit/predictions/{answer['request_id']}")).json()
            assert any("anna@example.com" in each for each in answer["scores"])
            assert "example.com" not in str(record["outputs"])
            assert list(record["outputs"][0]["scores"].values()) == list(answer["scores"].values())


async def test_who_does_not_ask_for_scores_costs_none(site):
    """The verb is not called for them, not even in a call that is gathered with others'."""
    site.register("counted", "m.joblib", dumped(Counts()), is_public=True, is_apart=False)
    async with site.client(site.key()) as client:
        await served(client, "counted")
        Counts.calls.clear()
        for _ in range(5):
            await client.post("/v1/models/counted/predict", json={"x0": 1.0})
        assert Counts.calls == {"predict": 5}
        answer = await client.post("/v1/models/counted/predict", json={"x0": 1.0}, params=WITH_SCORES)
    assert answer.json()["scores"] == {"score": -1.0}
    assert Counts.calls == {"predict": 6, "decision_function": 1}


async def test_a_score_that_is_no_number_is_no_answer(site):
    """It overflowed: 422 with the row's place, for those alone who ask for it."""
    site.register("overflows", "m.joblib", dumped(Counts()), is_public=True, is_apart=False)
    rows = {"rows": [{"x0": 1.0}, {"x0": 2000.0}]}
    async with site.client(site.key()) as client:
        await served(client, "overflows")
        refused = await client.post("/v1/models/overflows/predict/batch", json=rows, params=WITH_SCORES)
        plain = await client.post("/v1/models/overflows/predict/batch", json=rows)
    assert (refused.status_code, [each["at"] for each in refused.json()["errors"]]) == (422, ["/rows/1"])
    assert plain.status_code == 200


@pytest.mark.parametrize("kind", ["a detector", "clusters"])
async def test_mixed_callers_get_their_own(site, kind):
    """Sixty at once, every third with scores, of one to five rows, as trained and compiled: nobody gets another's."""
    estimator, data, verb, _ = SCORED[kind]
    name, values, rows = registered(site, f"mixed {kind}", estimator, data)
    wanted = np.reshape(getattr(estimator, verb)(values), (len(rows), -1))

    async def ask(client, number):
        start, count, is_scored = number * 2 % 140, 1 + number % 5, number % 3 == 0
        body = {"rows": rows[start : start + count]}
        params = WITH_SCORES if is_scored else {}
        answer = await client.post(f"/v1/models/{name}/predict/batch", json=body, params=params)
        found = answer.json()["predictions"]
        assert [each["prediction"] for each in found] == estimator.predict(values[start : start + count]).tolist()
        assert ["scores" in each for each in found] == [is_scored] * count
        if is_scored:
            scores = [list(each["scores"].values()) for each in found]
            assert_allclose(scores, wanted[start : start + count], rtol=1e-5, atol=1e-7)

    async with site.client(site.key()) as client:
        await served(client, name)
        await asyncio.gather(*(ask(client, number) for number in range(60)))
