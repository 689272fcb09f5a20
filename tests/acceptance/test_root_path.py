"""Behind a proxy that strips a prefix, which `ROOT_PATH` puts back into everything that is a reference."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from program.settings import InvalidSettings, read_settings
from tests.support.raw import exchange
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

PREFIX = "/models/v3"


@pytest.fixture
def behind(site, tmp_path):
    """The same installation, as it is told of the proxy."""
    told = site.copy_to(tmp_path / "behind", root_path=PREFIX)
    yield told
    told.close()


async def test_every_reference_leads_back_through_the_proxy(behind):
    """Problem types, `servers`, the pages' scripts; and the routes, which the proxy asks for without the prefix."""

    def stripped(base: str, reference: str) -> str:
        target = urljoin(base, reference)
        assert target.startswith(f"{PREFIX}/")
        return target.removeprefix(PREFIX)

    async with behind.client(behind.key()) as client:
        for method, path in (
            ("GET", "/nothing"),
            ("GET", "/predict"),
            ("POST", "/predict"),
            ("GET", "/v1/me%0A"),
            ("GET", "/admin/tenants"),
        ):
            problem = await client.request(method, path)
            assert problem.status_code >= 400
            explained = await client.get(stripped(f"{PREFIX}{path}", problem.json()["type"]))
            assert explained.status_code == 200
            assert problem.json()["type"] in explained.text
        document = (await client.get("/openapi.json")).json()
        assert document["servers"] == [{"url": PREFIX}]
        assert "/predict" in document["paths"]
        for page in ("/docs", "/docs/", "/redoc", "/redoc/"):
            for link in re.findall(r'(?:src|href)="([^"]+)"', (await client.get(page)).text):
                if not link.startswith("data:"):
                    assert (await client.get(stripped(f"{PREFIX}{page}", link))).status_code == 200
        for path in ("/predict", "/v1/models/iris/predict"):
            assert (await client.post(path, json=IRIS)).status_code == 200
            assert (await client.post(PREFIX + path, json=IRIS)).status_code == 404, "the proxy strips it"
        assert (await client.get("/.well-known/jwks.json")).json()["keys"]


async def test_without_it_nothing_has_a_prefix(site):
    """A problem's type is `/problems/...`, and the document names no server."""
    async with site.client() as client:
        assert (await client.get("/nothing")).json()["type"] == "/problems/not-found"
        assert "servers" not in (await client.get("/openapi.json")).json()


def test_a_refusal_before_any_route_has_it_too(behind, serve):
    """What breaks HTTP itself, and a route that computes, on a real server."""
    server, key = serve(behind, ADYTON_ROOT_PATH=PREFIX), behind.key()
    assert exchange(server.port, b"nonsense\r\n\r\n").json()["type"] == f"{PREFIX}/problems/malformed-request"
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    answer = exchange(server.port, head.encode() + b"Content-Length: 2\r\n\r\n{}")
    assert (answer.status, answer.json()["type"]) == (422, f"{PREFIX}/problems/invalid-rows")


@pytest.mark.parametrize(
    "path", ["/", "api", "/api/", "//", "/api//v1", "/a b", "/a\n", "/a\r\nX: y", "/a?b", "/a#b", "/a%2f", "/..", "/a/../b", "/é",
             "https://a.example", "/a\x7f", '/"', "/a;b"],
)  # fmt: skip
def test_a_root_path_that_is_none_is_refused_at_the_start(monkeypatch, path):
    """It would stand in every reference: with its name, and never with its value."""
    monkeypatch.setenv("ADYTON_ROOT_PATH", path)
    with pytest.raises(InvalidSettings, match="ADYTON_ROOT_PATH: a root path") as refused:
        read_settings()
    assert len(path) < 5 or path not in str(refused.value)


@pytest.mark.parametrize("path", ["", "/api", "/a/b/c", "/v1.2_x~y-z"])
def test_a_root_path_is_taken(monkeypatch, path):
    """One segment or several, or none."""
    monkeypatch.setenv("ADYTON_ROOT_PATH", path)
    assert read_settings().root_path == path
