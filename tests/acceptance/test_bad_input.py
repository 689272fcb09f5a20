"""Bad input gets the status of the contract, with a pointer, and nothing of the caller's in it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from examination.bundled import train
from tests.support.beside import Bare
from tests.support.patience import SECONDS
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

BUNDLED = {bundled.name: bundled for bundled in train()}
CANARY = "canary-8731"
GOOD = json.dumps(IRIS).encode()
ROUTE = "/v1/models/iris/predict"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def site(shared_site):
    """One for all tests of this file."""
    return shared_site


@pytest.fixture
def postgres_site(shared_postgres_site):
    return shared_postgres_site


def changed(value: str, name: str = "sepal_length") -> bytes:
    return GOOD.replace(f'"{name}": {IRIS[name]}'.encode(), f'"{name}": {value}'.encode())


BODIES = {
    "empty": (b"", 400, "broken-json", None),
    "half": (GOOD[:-5], 400, "broken-json", None),
    "more after": (GOOD + b"x", 400, "broken-json", None),
    "not UTF-8": (b'{"' + b"\xff" * 8 + b'": 1}', 400, "broken-json", None),
    "UTF-16": (GOOD.decode().encode("utf-16"), 400, "broken-json", None),
    "UTF-32 without a mark": (GOOD.decode().encode("utf-32-le"), 400, "broken-json", None),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + GOOD, 400, "broken-json", None),
    "NaN": (changed("NaN"), 400, "broken-json", None),
    "Infinity": (changed("-Infinity"), 400, "broken-json", None),
    "a member twice": (GOOD[:-1] + b', "sepal_length": 5.1}', 400, "broken-json", None),
    "a member twice, spelt differently": (GOOD[:-1] + b', "sepal\\u005flength": 5.1}', 400, "broken-json", None),
    "100,000 brackets": (b"[" * 100_000, 400, "broken-json", None),
    "100,000 objects": (b'{"a":' * 100_000, 400, "broken-json", None),
    "1e999": (changed("1e999"), 422, "invalid-rows", ("/sepal_length", "range")),
    "400 digits": (changed("9" * 400), 422, "invalid-rows", ("/sepal_length", "range")),
    "a number in quotes": (changed('"5.1"'), 422, "invalid-rows", ("/sepal_length", "type")),
    "true": (changed("true"), 422, "invalid-rows", ("/sepal_length", "type")),
    "null": (changed("null"), 422, "invalid-rows", ("/sepal_length", "type")),
    "an object": (changed(f'{{"{CANARY}": 1}}'), 422, "invalid-rows", ("/sepal_length", "type")),
    "text": (changed(f'"{CANARY}"'), 422, "invalid-rows", ("/sepal_length", "type")),
    "zero": (changed("0"), 422, "invalid-rows", ("/sepal_length", "greater_than")),
    "thirty": (changed("30"), 422, "invalid-rows", ("/sepal_length", "less_than")),
    "out of range": (changed("87313.5"), 422, "invalid-rows", ("/sepal_length", "less_than")),
    "unknown": (GOOD[:-1] + f', "{CANARY}": 1}}'.encode(), 422, "invalid-rows", ("", "unknown")),
    "missing": (b'{"sepal_length": 5.1}', 422, "invalid-rows", ("/sepal_width", "required")),
    "a list": (b"[1, 2, 3, 4]", 422, "invalid-rows", ("", "type")),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_recorded(site, name):
    """With the contract's status and problem, a pointer for what is wrong with a row, and a record of the refusal."""
    body, status, problem, place = BODIES[name]
    async with site.client(site.key()) as client:
        answer = await client.post(ROUTE, content=body, headers=JSON)
        record = (await client.get(f"/audit/predictions/{answer.headers['X-Request-ID']}")).json()
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem_found = answer.json()
    assert problem_found["type"] == f"/problems/{problem}"
    assert problem_found["status"] == status
    assert problem_found["request_id"] == answer.headers["X-Request-ID"]
    assert CANARY not in answer.text
    assert "87313" not in answer.text
    if place is not None:
        first = problem_found["errors"][0]
        assert (first["at"], first["rule"]) == place
        assert first["message"]
    assert (record["outcome"], record["status"], record["inputs"]) == (f"refused:{problem}", status, None)


async def test_every_bad_row_of_a_batch_is_named_up_to_a_hundred(site):
    """A batch is refused whole, with the pointers of its bad rows."""
    rows = [IRIS if place % 3 else {**IRIS, "petal_width": -1} for place in range(450)]
    async with site.client(site.key()) as client:
        few = (await client.post(f"{ROUTE}/batch", json={"rows": rows[:9]})).json()
        many = (await client.post(f"{ROUTE}/batch", json={"rows": rows})).json()
        unknown = (await client.post(f"{ROUTE}/batch", json={"rows": [IRIS, {**IRIS, CANARY: 1}]})).json()
        bare = (await client.post("/batch_predict", json=[IRIS, {**IRIS, "petal_width": 31}])).json()
    assert [error["at"] for error in few["errors"]] == [
        "/rows/0/petal_width",
        "/rows/3/petal_width",
        "/rows/6/petal_width",
    ]
    assert len({error["at"] for error in many["errors"]}) == 100
    assert [(error["at"], error["rule"]) for error in unknown["errors"]] == [("/rows/1", "unknown")]
    assert [error["at"] for error in bare["errors"]] == ["/1/petal_width"]
    assert few["errors"][0]["message"] == "must be greater than 0"


@pytest.mark.parametrize("rows", [0, 1001, 5000])
async def test_a_batch_has_one_to_a_thousand_rows(site, rows):
    """No rows, and more than `MAX_BATCH_ROWS`, are 422."""
    async with site.client(site.key()) as client:
        answer = await client.post(f"{ROUTE}/batch", json={"rows": [IRIS] * rows})
    assert answer.status_code == 422
    assert [error["at"] for error in answer.json()["errors"]] == ["/rows"]


HEADERS = {
    "no content type": ({"Content-Type": ""}, 415),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "another charset": ({"Content-Type": "application/json; charset=latin-1"}, 415),
    "UTF-16 by its name": ({"Content-Type": "application/json; charset=utf-16"}, 415),
    "two charsets": ({"Content-Type": "application/json; charset=utf-8; charset=latin-1"}, 415),
    "gzip": ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    "a picture wanted": ({"Content-Type": "application/json", "Accept": "image/png"}, 406),
    "no JSON wanted": ({"Content-Type": "application/json", "Accept": "application/json;q=0"}, 406),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_what_is_not_plain_json_is_not_served(site, name):
    """Content type, encoding and `Accept` are judged before the body."""
    headers, status = HEADERS[name]
    async with site.client(site.key()) as client:
        answer = await client.post(ROUTE, content=GOOD, headers=headers)
        record = (await client.get(f"/audit/predictions/{answer.headers['X-Request-ID']}")).json()
    assert answer.status_code == status
    assert record["status"] == status


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/*;q=0.8", "APPLICATION/JSON"])
async def test_whoever_takes_json_is_served(site, accept):
    """`Accept` may name JSON or a range that it lies in."""
    async with site.client(site.key()) as client:
        assert (await client.post(ROUTE, json=IRIS, headers={"Accept": accept})).status_code == 200


async def test_a_query_parameter_given_twice_is_refused(site):
    """Which of them counts must not depend on who reads first."""
    async with site.client(site.key()) as client:
        answer = await client.post(f"{ROUTE}?version=1&version=2", json=IRIS)
    assert answer.status_code == 400


async def test_errors_of_the_framework_are_problems_too(site):
    """Unknown paths, methods and parameters are answered in the same form."""
    async with site.client(site.key()) as client:
        answers = {
            404: await client.get(f"/{CANARY}"),
            405: await client.delete("/predict"),
            422: await client.get(f"/audit/predictions?limit={CANARY}"),
        }
    for status, answer in answers.items():
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert CANARY not in answer.text
    assert answers[405].headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/iris/predict?version=%ff", "/v1/models/iris/predict?%80=1",
        "/v1/models/iris/predict?" + "a&" * 10_000,
    ],
)  # fmt: skip
async def test_no_query_is_an_error_of_the_servers(site, path):
    """Odd bytes and many fields are the caller's fault, and are charged."""
    async with site.client(site.key(requests=["100/minute"])) as client:
        answer = await client.post(path, json=IRIS)
        used = (await client.get("/v1/usage")).json()["policies"][0]["used"]
    assert answer.status_code in (200, 400, 404)
    assert used == 1


@pytest.mark.parametrize(
    "query",
    [
        "status=99999999999999999999", "status=99", "from=0001-01-01T00:00:00%2B14:00", "to=9999-12-31T23:59:59-10:00",
        "outcome=%00", "key=%00", "key=" + "a" * 1000, "after=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCB4", "limit=1&limit=2",
        "tenant=acme&tenant=other", "request_id=ffffffff-ffff-7000-8000-000000000000", "request_id=x",
    ],
)  # fmt: skip
async def test_no_audit_query_is_an_error_of_the_servers(any_site, query):
    """On either database: refused, or nothing found."""
    nobodys = any_site.tenant(f"tenant-{uuid4().hex[:8]}")
    async with any_site.client(any_site.key(nobodys)) as client:
        answer = await client.get(f"/audit/predictions?{query}")
        assert answer.status_code in (200, 400, 422), answer.text
        if answer.status_code == 200:
            assert answer.json()["records"] == []
        one = await client.get("/audit/predictions/ffffffff-ffff-7fff-bfff-ffffffffffff")
        assert one.status_code == 404


async def test_numbers_that_the_model_cannot_count_in_are_refused(own_site):
    """Where scikit-learn would raise or overflow: 422 with the row's place, charged, and never `null`."""
    wine = dict.fromkeys(BUNDLED["wine"].features, 1e39)
    diabetes = dict.fromkeys(BUNDLED["diabetes"].features, 1e308)
    async with own_site.client(own_site.key()) as client:
        for model, row in (("wine", wine), ("diabetes", diabetes)):
            one = await client.post(f"/v1/models/{model}/predict", json=row)
            good = dict.fromkeys(row, 0.05)
            many = await client.post(f"/v1/models/{model}/predict/batch", json={"rows": [good, row]})
            assert (one.status_code, many.status_code) == (422, 422)
            assert [error["at"] for error in many.json()["errors"]] == ["/rows/1"]
            assert one.json()["errors"][0]["rule"] == "range"


HEAVY = {
    "a thousand empty rows": json.dumps({"rows": [{}] * 1000}),
    "a row of unknown members": json.dumps({"rows": [{f"m{n}": 1 for n in range(60_000)}]}),
    "rows of unknown members": json.dumps({"rows": [{f"m{n}": 1 for n in range(1300)}] * 60}),
    "a number that is a megabyte": json.dumps({"rows": "1"})[:-3] + "9" * 1_000_000 + "}",
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_bad_body_keeps_nobody_else_waiting(shared_server, name):
    """Ten at once within the bounds: refused, and `/health` answers meanwhile."""
    server, key = shared_server, shared_server.site.key()
    slowest = 0.0
    with Bare() as bare, ThreadPoolExecutor(10) as pool, httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        asked = [
            pool.submit(httpx.post, f"{server.url}/v1/models/wine/predict/batch", content=HEAVY[name],
                        headers={**JSON, "X-API-Key": key}, timeout=SECONDS)
            for _ in range(10)
        ]  # fmt: skip
        while not all(each.done() for each in asked):
            started = time.perf_counter()
            assert client.get("/health").status_code == 200
            slowest = max(slowest, time.perf_counter() - started)
            bare.ask()
    assert {each.result().status_code for each in asked} <= {400, 422}
    assert slowest < 1.0 + 20 * bare.slowest_seconds
