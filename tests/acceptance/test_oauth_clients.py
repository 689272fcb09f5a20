"""The token routes as OAuth 2.0 clients see them: real libraries, which raise what is refused and keep what is not."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from api.oauth_errors import oauth_refusal
from quotas.allowances import TOKENS
from quotas.failures import MAX_FAILURES
from serving.problems import PROBLEMS
from tests.support.people import PASSWORD, person
from tests.support.server import Server
from values.subjects import Subject

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: What an `error_description` may hold (RFC 6749, section 5.2).
WRITABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


@pytest.fixture(scope="module")
def served(template, tmp_path_factory):
    """One server for all, and its site."""
    site = template.copy_to(tmp_path_factory.mktemp("oauth") / "site")
    server = Server(site)
    yield site, f"{server.url}/auth/token"
    server.kill()
    site.close()


def authlib_token(url: str, client_id: str, secret: str, method: str, **more):
    with AuthlibSession(client_id, secret, token_endpoint_auth_method=method) as client:
        return client.fetch_token(url, grant_type="client_credentials", **more)


def oauthlib_token(url: str, client_id: str, secret: str, *, in_form: bool, **more):
    with OAuth2Session(client=BackendApplicationClient(client_id)) as session:
        where = {"include_client_id": True, "client_secret": secret} if in_form else {"auth": (client_id, secret)}
        return session.fetch_token(url, **where, **more)


def oauthlib_person(url: str, name: str, password: str):
    with OAuth2Session(client=LegacyApplicationClient("")) as session:
        return session.fetch_token(url, username=name, password=password, include_client_id=False)


@pytest.fixture(autouse=True)
def plain_http(monkeypatch):
    """oauthlib refuses a token endpoint without TLS, which the tests' servers have not."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token_and_raises_what_is_refused(served, method):
    """`invalid_client` for a wrong secret or id, by Basic and in the form; `invalid_scope` for a scope it has not."""
    site, url = served
    issued = site.issue()
    assert authlib_token(url, issued.key.id, issued.raw_key, method)["token_type"] == "Bearer"
    for client_id, secret in ((issued.key.id, "wrong"), ("000000000000", issued.raw_key), ("", ""), ("a:b", "é")):
        with pytest.raises(OAuthError) as raised:
            authlib_token(url, client_id, secret, method)
        assert raised.value.error == "invalid_client"
    with pytest.raises(OAuthError) as raised:
        authlib_token(url, issued.key.id, issued.raw_key, method, scope="admin")
    assert raised.value.error == "invalid_scope"
    with pytest.raises(OAuthError) as raised, AuthlibSession(issued.key.id, issued.raw_key) as client:
        client.fetch_token(url, grant_type="authorization_code", code="x")
    assert raised.value.error in {"unsupported_grant_type", "invalid_request"}


@pytest.mark.parametrize("in_form", [True, False])
def test_requests_oauthlib_gets_a_token_and_raises_what_is_refused(served, in_form):
    """`InvalidClientError` for a wrong secret, `InvalidScopeError` for a scope that the key has not."""
    site, url = served
    issued = site.issue()
    assert oauthlib_token(url, issued.key.id, issued.raw_key, in_form=in_form)["expires_in"] == 900
    for client_id, secret in ((issued.key.id, "wrong"), ("000000000000", issued.raw_key)):
        with pytest.raises(OAuth2Error) as raised:
            oauthlib_token(url, client_id, secret, in_form=in_form)
        assert raised.value.error == "invalid_client"
    with pytest.raises(OAuth2Error) as raised:
        oauthlib_token(url, issued.key.id, issued.raw_key, in_form=in_form, scope=["admin"])
    assert raised.value.error == "invalid_scope"


def test_people_are_refused_by_invalid_grant(served):
    """Unknown names, wrong passwords: 400 `invalid_grant`, since no client was authenticated; then a token."""
    site, url = served
    email = person(site)
    for name, password in ((email, "wrong"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(OAuthError) as raised, AuthlibSession() as client:
            client.fetch_token(url, username=name, password=password)
        assert raised.value.error == "invalid_grant"
        with pytest.raises(OAuth2Error) as refused:
            oauthlib_person(url, name, password)
        assert (refused.value.error, refused.value.status_code) == ("invalid_grant", 400)
    with AuthlibSession() as client:
        assert client.fetch_token(url, username=email, password=PASSWORD)["scope"] == "admin"


def test_a_token_is_ended_by_authlib(served):
    """RFC 7009: 200 for a token, and `unsupported_token_type` for a key."""
    site, url = served
    issued = site.issue()
    ends = url.replace("/token", "/revoke")
    for method in ("client_secret_basic", "client_secret_post", "none"):
        token = authlib_token(url, issued.key.id, issued.raw_key, "client_secret_post")["access_token"]
        with AuthlibSession(issued.key.id, issued.raw_key, revocation_endpoint_auth_method=method) as client:
            assert client.revoke_token(ends, token=token).status_code == 200
            refused = client.revoke_token(ends, token=issued.raw_key)
        assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_token_type")


def basic(text: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text).decode()}


REFUSED = {
    "no form": (b"{}", {"Content-Type": "application/json"}, 415, "invalid_request"),
    "no type": (b"x", {}, 415, "invalid_request"),
    "encoded": (b"x", FORM | {"Content-Encoding": "gzip"}, 415, "invalid_request"),
    "too large": (b"a" * 20_000, FORM, 413, "invalid_request"),
    "no pairs": (b"%%%", FORM, 400, "invalid_request"),
    "a field twice": (b"grant_type=a&grant_type=b", FORM, 400, "invalid_request"),
    "no grant": (b"scope=a", FORM, 400, "invalid_request"),
    "empty": (b"", FORM, 400, "invalid_request"),
    "bytes": (b"grant_type=\xff", FORM, 400, "invalid_request"),
    "another grant": (b"grant_type=refresh_token", FORM, 400, "unsupported_grant_type"),
    "a wrong secret by Basic": (b"grant_type=client_credentials", FORM | basic(b"a:b"), 401, "invalid_client"),
    "a Basic that is none": (b"grant_type=client_credentials", FORM | basic(b"ab"), 401, "invalid_client"),
    "another scheme": (b"grant_type=client_credentials", FORM | {"Authorization": "Bearer x"}, 401, "invalid_client"),
    "a wrong secret": (b"grant_type=client_credentials&client_id=a&client_secret=b", FORM, 401, "invalid_client"),
    "two credentials": (b"grant_type=client_credentials&client_secret=b", FORM | basic(b"a:b"), 400, "invalid_request"),
    "a wrong password": (b"grant_type=password&username=a&password=b", FORM, 400, "invalid_grant"),
    "no password": (b"grant_type=password&username=a", FORM, 400, "invalid_request"),
}


def check(answer: httpx.Response, status: int, error: str) -> None:
    """RFC 6749's body and headers, and ours beside them."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert WRITABLE.fullmatch(answer.json()["error_description"])
    assert not {"type", "title", "access_token"} & set(answer.json())
    assert answer.headers.get("www-authenticate") == ('Basic realm="adyton"' if status == 401 else None)


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_is_one_that_such_a_client_reads(served, name):
    """Whatever is wrong with the request, at `/auth/token`; and at `/auth/revoke`, what can be wrong there."""
    body, headers, status, error = REFUSED[name]
    url = served[1]
    check(httpx.post(url, content=body, headers=headers), status, error)
    revoked = httpx.post(url.replace("/token", "/revoke"), content=body, headers=headers)
    if b"grant_type" in body:
        status, error = 400, "invalid_request"
    check(revoked, status, error)


def test_paths_and_methods_are_refused_as_everywhere(served):
    """A 405 at these paths, and a 404 beside them, are problem documents."""
    url = served[1]
    for answer in (httpx.get(url), httpx.post(url + "/x"), httpx.post(url + "%0A")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code in {404, 405}


@pytest.mark.anyio
async def test_limits_and_outages_are_temporary(site):
    """429 with its true `Retry-After` for a spent allowance, an address and a name; 503 where nobody can be known."""
    issued, email = site.issue(), person(site)
    form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key}
    signing = {"grant_type": "password", "username": email, "password": "wrong"}
    async with site.client() as client:
        parts = client.app.state.parts
        assert (await client.post("/auth/token", data=form)).status_code == 200
        for _ in range(TOKENS.amount - 1):
            await parts.quotas.charge_allowance(TOKENS, Subject.of_key(issued.key.id))
        spent = await client.post("/auth/token", data=form)
        check(spent, 429, "temporarily_unavailable")
        assert 1 <= int(spent.headers["retry-after"]) <= 61
        assert spent.json()["violated-policies"] == ["key-tokens-60"]
        for _ in range(12):
            # The wait doubles each time, and so gets longer than the machine takes.
            slowed = await client.post("/auth/token", data=signing)
            if slowed.status_code == 429:
                break
        check(slowed, 429, "temporarily_unavailable")
        assert int(slowed.headers["retry-after"]) >= 1
        for _ in range(MAX_FAILURES):
            await parts.failures.count("192.0.2.1")
        client._transport.client = ("192.0.2.1", 1)
        check(await client.post("/auth/token", data=form | {"client_secret": "x"}), 429, "temporarily_unavailable")
        parts.follower.close()
        other = site.issue()
        while parts.directory.is_fresh:
            await asyncio.sleep(0.01)
        unknown = form | {"client_id": other.key.id, "client_secret": other.raw_key}
        answer = await client.post("/auth/token", data=unknown)
        check(answer, 503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_no_refusal_can_be_unreadable():
    """Whatever problem there is or will be, its description is one that RFC 6749 lets stand."""
    for problem in PROBLEMS.values():
        for detail in (problem.explanation, 'a "quoted" \\ é\n detail'):
            answer = oauth_refusal(Exception(), problem, detail, {}, {})
            assert WRITABLE.fullmatch(json.loads(answer.body)["error_description"])
            assert answer.status_code == problem.status


def test_the_requests_id_is_no_part_of_what_is_refused(served):
    """One 401 for all that is no client, whatever it is: but for its `request_id`."""
    site, url = served
    revoked, late = site.issue(), site.issue(not_before=datetime(2099, 1, 1, tzinfo=UTC))
    site.revoke(revoked.key.id)
    bodies = set()
    for each in (revoked, late, site.issue(cidrs=["203.0.113.0/24"])):
        for headers in ({}, basic(f"{each.key.id}:{quote(each.raw_key)}".encode())):
            form = {"grant_type": "client_credentials"}
            form |= {} if headers else {"client_id": each.key.id, "client_secret": each.raw_key}
            answer = httpx.post(url, data=form, headers=headers)
            check(answer, 401, "invalid_client")
            bodies.add(str(answer.json() | {"request_id": ""}))
    assert len(bodies) == 1
