"""Pages of other origins: which are let in, what they may read, and settings that could never match."""

from __future__ import annotations

import pytest

from auth import api_keys
from program.settings import InvalidSettings, Settings, read_settings
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
#: What every answer has, whoever makes it.
FIELDS = ("x-request-id", "x-content-type-options", "content-security-policy", "referrer-policy", "cache-control")


@pytest.fixture
def open_site(site, tmp_path):
    """The same installation, with one origin let in."""
    opened = site.copy_to(tmp_path / "open", cors_origins=[ORIGIN])
    yield opened
    opened.close()


async def test_a_page_asks_first_and_then_sends(open_site):
    """A preflight is 204 with what may be sent, for each method that there is; the answer may be read."""
    async with open_site.client(open_site.key()) as client:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            asked = await client.options("/predict", headers=PREFLIGHT | {"Access-Control-Request-Method": method})
            assert (asked.status_code, asked.content) == (204, b"")
            assert asked.headers["access-control-allow-origin"] == ORIGIN
            assert method in asked.headers["access-control-allow-methods"]
            assert "X-API-Key" in asked.headers["access-control-allow-headers"]
            assert "Origin" in asked.headers["vary"]
            assert all(asked.headers[name] for name in FIELDS)
        answer = await client.post("/predict", json=IRIS, headers={"Origin": ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


async def test_a_page_may_read_how_it_was_refused(open_site):
    """401, 404, 405, 422 and HEAD carry the fields for its origin, as a 200 does."""
    async with open_site.client(open_site.key()) as client:
        for method, path, more, status in (
            ("GET", "/v1/me", {"headers": {"X-API-Key": api_keys.mint()}}, 401), ("GET", "/nothing", {}, 404),
            ("GET", "/predict", {}, 405), ("POST", "/predict", {"json": {}}, 422), ("HEAD", "/health", {}, 200),
            ("GET", "/v1/me%0A", {}, 404),
        ):  # fmt: skip
            client.headers["Origin"] = ORIGIN
            answer = await client.request(method, path, **more)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "change",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ORIGIN + "/"}, {"Origin": ORIGIN + ".evil.example"},
        {"Origin": ORIGIN.upper()}, {"Origin": "http://app.example.com"}, {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Method": "post"}, {"Access-Control-Request-Headers": "x-api-key, x-evil"},
        {"Access-Control-Request-Headers": "*"},
    ],
)  # fmt: skip
async def test_a_refused_preflight_is_a_problem_as_every_other(open_site, change):
    """With an id, the security headers and words that repeat nothing of it."""
    async with open_site.client() as client:
        answer = await client.options("/predict", headers=PREFLIGHT | change)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/preflight-refused"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert all(answer.headers[name] for name in FIELDS)
        assert "evil" not in answer.text
        if "Origin" in change:
            assert "access-control-allow-origin" not in answer.headers


async def test_what_is_no_preflight_is_answered_as_without_origins(open_site, site):
    """An OPTIONS without either field, or with one of them twice, is the 405 or 404 of its path; and closed is closed."""
    async with open_site.client() as client:
        twice = [("Origin", ORIGIN), ("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")]
        for headers in ({}, {"Origin": ORIGIN}, {"Access-Control-Request-Method": "POST"}, twice):
            assert (await client.options("/predict", headers=headers)).status_code == 405
        assert (await client.options("/predict%0A", headers=PREFLIGHT)).status_code == 404
        assert "access-control-allow-origin" not in (await client.get("/health")).headers
        assert (await client.get("/health")).headers["vary"] == "Origin"
    async with site.client() as client:
        answer = await client.options("/predict", headers=PREFLIGHT)
        assert answer.status_code == 405
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("https://a.example/", "slash"), ("https://a.example/app", "path"), ("https://a.example?x", "path"),
        ("https://a.example#x", "path"), ("https://a.example//", "path"), ("https://A.example", "capitals"),
        ("HTTPS://a.example", "capitals"), ("*", "wildcard"), ("https://*.a.example", "wildcard"), ("a.example", "scheme"),
        ("//a.example", "scheme"), ("null", "scheme"), ("localhost:3000", "scheme"), ("https://a.example:443", "default port"),
        ("http://a.example:80", "default port"), ("https://u:p@a.example", "user information"), ("https://a.example:", "port"),
        ("https://a.example:0", "port"), ("https://a.example:99999", "port"), ("https://a.example:0443", "port"),
        ("https://", "host"), ("https://bücher.example", "host"), ("https://a b.example", "host"), ("https://.example", "host"),
        ("http://127.1", "host"), ("http://0x7f000001", "host"), ("http://[::0001]", "host"), ("http://[::1", "host"),
        ("file://a", "page"), ("ws://a.example", "page"), ("https://a.example:８０", "port"),
    ],
)  # fmt: skip
def test_an_origin_that_could_never_match_is_refused_at_the_start(monkeypatch, origin, why):
    """With its place in the list and the reason, and never with its text."""
    monkeypatch.setenv("ADYTON_CORS_ORIGINS", f"https://good.example, {origin}")
    with pytest.raises(InvalidSettings) as refused:
        read_settings()
    words = str(refused.value)
    assert words.startswith("ADYTON_CORS_ORIGINS: origin 2 of 2")
    assert why in words
    assert len(origin) < 5 or origin not in words


def test_origins_as_browsers_write_them_are_taken():
    """Names, ports, addresses of both kinds, IDNs in their own spelling, and applications' own schemes."""
    origins = ["https://a.example", "http://localhost:3000", "http://127.0.0.1", "http://127.0.0.1:8080", "http://[::1]",
               "http://[2001:db8::1]:8080", "https://xn--bcher-kva.example", "https://a_b.example:8443", "http://a.example:443",
               "chrome-extension://abcdefghijklmnop", "capacitor://localhost"]  # fmt: skip
    assert Settings(cors_origins=origins).cors_origins == origins
