"""The OpenAPI document and the pages, with nothing from anybody else's server."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from auth.principal import Scope
from serving.problems import PROBLEMS

pytestmark = pytest.mark.anyio


@pytest.fixture
def site(shared_site):
    """One for all tests of this file."""
    return shared_site


@pytest.fixture
def site_with_private_model(own_site):
    sample = np.array([[0.0], [1.0], [2.0]])
    model = LinearRegression().fit(sample, [1.0, 2.0, 3.0])
    own_site.model("private", model, sample, ["hidden_feature"], is_public=False)
    own_site.grant("private", "acme")
    return own_site


async def test_each_visible_model_has_a_typed_row_and_an_example_that_runs(site_with_private_model):
    """For a caller with a grant; every example, posted as it stands, is answered."""
    async with site_with_private_model.client(site_with_private_model.key()) as client:
        document = (await client.get("/openapi.json")).json()
        for path, template in (("/v1/models/{model}/predict", "/v1/models/%s/predict"),
                               ("/v1/models/{model}/predict/batch", "/v1/models/%s/predict/batch"),
                               ("/predict", "/predict"), ("/batch_predict", "/batch_predict")):  # fmt: skip
            content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            names = {"iris"} if "model" not in path else {"iris", "wine", "diabetes", "private"}
            assert set(content["examples"]) == names
            assert len(content["schema"].get("anyOf", [0])) == len(names)
            for name, example in content["examples"].items():
                target = template % name if "%s" in template else template
                answer = await client.post(target, json=example["value"])
                assert answer.status_code == 200, (path, name, answer.text)
    assert document["components"]["schemas"]["Row.iris"]["properties"]["sepal_length"]["exclusiveMaximum"] == 30
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "Bearer"}
    assert document["paths"]["/predict"]["post"]["security"] == [{"ApiKey": []}, {"Bearer": []}]


async def test_who_may_not_use_a_model_does_not_read_of_it(site_with_private_model):
    """Neither anybody, nor another tenant, nor a key for other models; a bad key is refused."""
    site = site_with_private_model
    readers = [None, site.key(site.tenant("other")), site.key(models=["iris"], scopes=[Scope.PREDICT])]
    async with site.client() as client:
        for key in readers:
            text = (await client.get("/openapi.json", headers={"X-API-Key": key} if key else {})).text
            assert "private" not in text
            assert "hidden_feature" not in text
            assert "Row.iris" in text
        assert (await client.get("/openapi.json", headers={"X-API-Key": "ady_x"})).status_code == 401


async def test_the_pages_load_nothing_from_elsewhere(site):
    """Each script and style is ours, is there, and is allowed by the page's own policy."""
    async with site.client() as client:
        for page in ("/docs", "/redoc"):
            answer = await client.get(page)
            assert answer.status_code == 200
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            links = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
            assert links
            for link in links:
                assert link.startswith(("static/", "data:")), "a proxy may have put a prefix before it"
                if link.startswith("static/"):
                    assert (await client.get(urljoin(page, link))).status_code == 200
        assert (await client.get("/static/../settings.py")).status_code == 404


@pytest.mark.parametrize("name", PROBLEMS)
async def test_each_problem_is_explained_on_a_page(site, name):
    """The type of a problem can be followed."""
    async with site.client() as client:
        page = await client.get(f"/problems/{name}")
        assert page.status_code == 200
        assert PROBLEMS[name].title in page.text
        assert (await client.get(f"/problems/{name}x")).status_code == 404


async def test_answers_are_not_stored_and_not_sniffed(site):
    """The usual headers, on answers and on errors."""
    async with site.client() as client:
        for path in ("/health", "/nothing", "/docs", "/v1/me"):
            headers = (await client.get(path)).headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "X-Request-ID" in headers
            assert "Access-Control-Allow-Origin" not in headers
