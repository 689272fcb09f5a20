"""Games with verbs, paths, hosts and credentials that must lead nowhere."""

from __future__ import annotations

import json
import zlib
from urllib.parse import unquote

import pytest
from sqlalchemy import text

from db.reach import EVERY_TENANT
from tests.support.contents import contents
from tests.support.people import client_of
from tests.support.raw import exchange, post
from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")


async def test_a_verb_is_the_one_that_was_sent(site):
    """No header and no query makes another of it; verbs that a route does not have are 405 and do nothing."""
    key_id = site.issue().key.id
    async with client_of(site) as admin:
        before = contents(site, "keys", "tenants", "policies")
        for name in OVERRIDES:
            assert (await admin.get(f"/admin/keys/{key_id}", headers={name: "DELETE"})).status_code == 200
            assert (await admin.get(f"/admin/keys/{key_id}?{name}=DELETE")).status_code == 200
        for method in ("PUT", "POST", "TRACE", "CONNECT", "PROPFIND", "GETX", "OPTIONS"):
            answer = await admin.request(method, f"/admin/keys/{key_id}")
            assert answer.status_code == 405, method
            assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"
        assert contents(site, "keys", "tenants", "policies") == before


PATHS = ("//admin/tenants", "/admin//tenants", "/admin/tenants//", "/admin/./tenants", "/v1/../admin/tenants", "/%61dmin%2ftenants",
         "/v1/%2e%2e/admin/tenants", "/static/..%2f..%2fvar", "/static/%2e%2e/app.py", "/admin;/tenants", "/ADMIN/tenants",
         "/admin/tenants%00", "/admin/tenants%20", "/static/../settings.py")  # fmt: skip


#: Behind the path of an operation, or before it: another spelling of it to somebody, and no path at all to us.
BEHIND = ("%0A", "%0a", "%0A/", "/%0A", "%0D", "%0D%0A", "%00", "%09", "%0B", "%0C", "%1C", "%1F", "%20", "%7F", "%C2%85",
          "%C2%A0", "%E2%80%A8", "%E2%80%A9", "%EF%BB%BF", "%C0%80", "%C0%AF", "%FF", "%F0%80%80%8A", "//", "/.", "/./", "/%2e",
          "/..", "%2f", "%2F%2F")  # fmt: skip
BEFORE = ("/", "/.", "/%2e", "/x/..", "/x/%2e%2e", "/v1/..", "/static/..", "/%0A", "%0A", "/%20", "%2f")
#: These may be part of a name, and then of one that does not exist.
NAMES = (";", ";a=b", "%3B", "%5C", "%23", "%3F", "%25", "*", ".json")
OPERATIONS = ("/predict", "/batch_predict", "/v1/models/iris/predict", "/v1/models/iris/predict/batch", "/v1/me", "/v1/models",
              "/v1/models/iris", "/health", "/health/ready", "/openapi.json", "/docs", "/redoc", "/static/docs.js",
              "/problems/not-found", "/.well-known/jwks.json", "/auth/token", "/audit/predictions",
              "/admin/tenants", "/admin/tenants/acme")  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_operation_has_one_path(site, method):
    """With line ends, controls, odd bytes, empty segments or dots it is none; with parameters it is another's."""
    key = site.key(requests=["1/minute"])
    async with site.client(key) as client:
        for path in OPERATIONS:
            for spelled in (*(path + each for each in BEHIND), *(each + path for each in BEFORE)):
                assert await asked(client.app, method, spelled, key) == 404, spelled
            for name in NAMES:
                assert await asked(client.app, method, path + name, key) in {401, 404, 405}, path + name
        used = (await client.get("/v1/usage")).json()["policies"][0]["used"]
    assert used == 0


async def asked(app, method: str, target: str, key: str) -> int:
    """The status of an answer to this very path, which a client library would have mended before it sent it."""
    sent = []
    scope = {
        "type": "http", "method": method, "path": unquote(target), "raw_path": target.encode(), "query_string": b"",
        "headers": [(b"x-api-key", key.encode()), (b"content-type", b"application/json")], "http_version": "1.1",
        "client": (f"10.{len(target)}.{zlib.crc32(target.encode()) % 250}.1", 1), "server": ("x", 80), "scheme": "http",
        "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": json.dumps(IRIS).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


def test_no_line_end_reaches_an_operation_over_the_wire(shared_server):
    """As a proxy would hand it on: neither direct routes nor the others, and no target with a fragment."""
    port, key = shared_server.port, shared_server.site.key()
    for path in (
        "/predict%0A",
        "/v1/models/iris/predict%0a",
        "/v1/me%0A",
        "/admin/tenants%0A",
        "/v1/me%0D",
        "/v1/me/%0A",
    ):
        answer = exchange(port, post(path, key, b"{}", "Content-Length: 2", "Connection: close"))
        assert (answer.status, answer.json()["type"]) == (404, "/problems/not-found"), path
    fragment = f"GET /v1/me#x HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n"
    assert exchange(port, fragment.encode()).status == 400


def test_a_path_is_the_one_that_was_sent(shared_server):
    """Nobody reaches an operation by a spelling that is not its own, with or without a key; nothing is redirected."""
    port, key = shared_server.port, shared_server.site.key()
    for path in PATHS:
        for credential in ("", f"X-API-Key: {key}\r\n"):
            answer = exchange(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n{credential}Connection: close\r\n\r\n".encode())
            assert answer.status in (404, 400), path
            assert "\r\nlocation:" not in answer.head


def test_a_host_changes_nothing(shared_server):
    """Whatever host and forwarding headers say, the answer is the same and repeats none of it."""
    port, key = shared_server.port, shared_server.site.key(cidrs=["203.0.113.0/24"])
    for headers in ("Host: evil.example", "Host: evil.example\r\nX-Forwarded-Host: evil.example", "Host: x\r\nX-Forwarded-For: 203.0.113.9",
                    "Host: x\r\nForwarded: for=203.0.113.9", "Host: x\r\nX-Real-IP: 203.0.113.9", "Host: x\r\nX-Original-URL: /admin/tenants",
                    "Host: x\r\nX-Rewrite-URL: /admin/tenants"):  # fmt: skip
        answer = exchange(
            port, f"GET /v1/me HTTP/1.1\r\n{headers}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.status == 401, headers
        assert "evil" not in answer.head + answer.body.decode()


async def test_what_the_database_holds_opens_nothing(any_site):
    """A digest, a wrapped key, a key id, a password's hash or a signing key's name, presented as a credential."""
    site = any_site
    issued = site.issue()
    async with client_of(site) as admin:
        admin.headers.pop("Authorization")
        with site.database.reading(EVERY_TENANT) as session:
            stolen = [issued.key.id, issued.key.tenant_id]
            for statement in ("SELECT digest FROM key_secrets", "SELECT wrapped FROM wrapped_secrets",
                              "SELECT password_digest FROM users", "SELECT id FROM users"):  # fmt: skip
                stolen += map(str, session.scalars(text(statement)))
        assert len(stolen) > 8
        for each in stolen:
            for value in (each, f"ady_{each}", f"key:{each}"):
                for headers in ({"X-API-Key": value}, {"Authorization": f"Bearer {value}"}):
                    assert (await admin.get("/v1/me", headers=headers)).status_code == 401
            bought = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": each}
            assert (await admin.post("/auth/token", data=bought)).status_code == 401
        assert (await admin.post("/predict", json=IRIS, headers={"X-API-Key": issued.raw_key})).status_code == 200
