"""Tokens that are bought with a key: how, for what, for how long, and what they share with it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from sqlalchemy import select

from admin.keys import rotate_key
from admin.signing_keys import rotate_signing_key
from auth.principal import Scope
from auth.signing_keys import SigningKeys
from auth.tokens import Tokens
from db.reach import EVERY_TENANT
from db.tables import KeySecret
from tests.support.patience import become
from tests.support.people import PASSWORD, person
from tests.support.server import Server, cli_json
from tests.support.site import ACTOR, IRIS, SECRET
from values.ids import uuid7
from values.subjects import Subject

pytestmark = pytest.mark.anyio


def form_of(issued, **more):
    return {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key} | more


async def buy(client, issued, **more):
    return await client.post("/auth/token", data=form_of(issued, **more))


def bearer(answer) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def unb64(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_key_buys_a_token_in_the_form_or_by_basic(any_site):
    """RFC 6749's answer; RFC 9068's header and claims; what the key may do, or some of it."""
    issued = any_site.issue()
    async with any_site.client() as client:
        answer = await buy(client, issued)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["token_type"], body["expires_in"], body["scope"]) == (
            "Bearer",
            900,
            "audit:read:own models:read predict",
        )
        header, claims = (json.loads(unb64(part)) for part in body["access_token"].split(".")[:2])
        assert header == {"alg": "ES256", "typ": "at+jwt", "kid": header["kid"]}
        assert (claims["iss"], claims["aud"], claims["sub"], claims["client_id"]) == (
            "adyton", "adyton", f"key:{issued.key.id}", issued.key.id)  # fmt: skip
        assert claims["exp"] - claims["iat"] == 900
        assert issued.key.tenant_id not in json.dumps(claims)
        basic = {"auth": (issued.key.id, issued.raw_key)}
        narrow = await client.post(
            "/auth/token", data={"grant_type": "client_credentials", "scope": "predict"}, **basic
        )
        assert (narrow.status_code, narrow.json()["scope"]) == (200, "predict")
        assert (await client.post("/predict", json=IRIS, headers=bearer(narrow))).status_code == 200
        assert (await client.get("/audit/predictions", headers=bearer(narrow))).status_code == 403
        assert (await client.get("/audit/predictions", headers=bearer(answer))).status_code == 200
        me = (await client.get("/v1/me", headers=bearer(narrow))).json()
        assert (me["key_id"], me["scopes"]) == (issued.key.id, ["predict"])
        same_id = {"grant_type": "client_credentials", "client_id": issued.key.id}
        assert (await client.post("/auth/token", data=same_id, **basic)).status_code == 200


async def test_more_than_one_credential_buys_nothing(site):
    """In the form and in a header, in two headers, of two kinds: 400, whichever of them is good."""
    issued, other = site.issue(), site.issue()
    email = person(site)
    keys, people = form_of(issued), {"grant_type": "password", "username": email, "password": PASSWORD}
    bare = {"grant_type": "client_credentials"}
    basic = "Basic " + base64.b64encode(f"{issued.key.id}:{issued.raw_key}".encode()).decode()
    key, bearer_key = ("X-API-Key", issued.raw_key), ("Authorization", f"Bearer {issued.raw_key}")
    async with site.client() as client:
        for form, headers in (
            (keys, [key]), (keys, [("X-API-Key", other.raw_key)]), (keys, [bearer_key]), (keys, [("Authorization", basic)]),
            (keys | {"password": PASSWORD}, []), (people, [key]), (people, [bearer_key]), (people, [("Authorization", basic)]),
            (people | {"client_secret": issued.raw_key}, []), (bare, [key, ("Authorization", basic)]),
            (bare, [("Authorization", basic), ("Authorization", basic)]), (bare | {"client_id": other.key.id}, [("Authorization", basic)]),
        ):  # fmt: skip
            answer = await client.post("/auth/token", data=form, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), (form, headers)
            assert "access_token" not in answer.text
            assert "more than one credential" in answer.json()["error_description"]


REFUSED = {
    "no grant": ({"grant_type": None}, 400, "invalid_request"),
    "another grant": ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
    "no secret": ({"client_secret": None}, 400, "invalid_request"),
    "no id": ({"client_id": None}, 400, "invalid_request"),
    "an unknown field": ({"audience": "x"}, 400, "invalid_request"),
    "an unknown scope": ({"scope": "admin"}, 400, "invalid_scope"),
    "no scope": ({"scope": ""}, 400, "invalid_scope"),
    "another's id": ({"client_id": "000000000000"}, 401, "invalid_client"),
    "a secret that is none": ({"client_secret": "x"}, 401, "invalid_client"),
    "a secret of bytes": ({"client_secret": "\u00e9" * 54}, 401, "invalid_client"),
}


async def test_what_buys_nothing(site):
    """By OAuth's own names where the request is wrong, and one 401 where the credential is."""
    now = datetime.now(UTC)
    issued, revoked = site.issue(), site.issue()
    site.revoke(revoked.key.id)
    suspended = site.issue(site.tenant("suspended"))
    site.suspend("suspended")
    async with site.client() as client:
        unauthorized = set()
        for name, (change, status, error) in REFUSED.items():
            form = {key: value for key, value in form_of(issued, **change).items() if value is not None}
            answer = await client.post("/auth/token", data=form)
            assert (answer.status_code, answer.json().get("error")) == (status, error), name
            if status == 401:
                unauthorized.add(str(answer.json() | {"request_id": ""}))
        for each in (revoked, suspended, site.issue(expires_at=now), site.issue(not_before=now + timedelta(hours=1)),
                     site.issue(cidrs=["203.0.113.0/24"])):  # fmt: skip
            answer = await buy(client, each)
            assert answer.status_code == 401
            unauthorized.add(str(answer.json() | {"request_id": ""}))
        assert len(unauthorized) == 1
        for body, kind, status in (
            (b"{}", "application/json", 415), (b"", "", 415), (b"grant_type=a&grant_type=b", None, 400), (b"%%%", None, 400),
            (b"a" * 20_000, None, 413), (b"&".join(b"a%d=1" % n for n in range(50)), None, 400), (b"grant_type=%ff", None, 400),
            (b"\xff\xfe", None, 400), (b"", None, 400),
        ):  # fmt: skip
            headers = {"Content-Type": "application/x-www-form-urlencoded" if kind is None else kind}
            assert (await client.post("/auth/token", content=body, headers=headers)).status_code == status, body[:30]
        for value in (
            "Basic",
            "Basic !!!",
            "Basic " + base64.b64encode(b"nocolon").decode(),
            "Basic " + base64.b64encode(b"\xff:x").decode(),
            "Digest x",
        ):
            answer = await client.post(
                "/auth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": value}
            )
            assert answer.status_code == 401, value
        assert (await client.get("/auth/token")).status_code == 405


async def test_a_token_spends_the_keys_budget_and_ends_with_it(site):
    """One limit for the key, its rotated secret and its tokens; no token outlives its key."""
    ends = datetime.now(UTC) + timedelta(seconds=100)
    issued = site.issue(requests=["4/minute"], expires_at=ends)
    async with site.client() as client:
        token = await buy(client, issued)
        assert 90 < token.json()["expires_in"] <= 100
        other = rotate_key(
            site.database,
            site.keyring,
            actor=ACTOR,
            key_id=issued.key.id,
            overlap=timedelta(hours=1),
            tenant_id=EVERY_TENANT,
        )
        answers = [
            await client.post("/predict", json=IRIS, headers=headers)
            for headers in (bearer(token), {"X-API-Key": issued.raw_key}, {"X-API-Key": other.raw_key}, bearer(await buy(client, other)), bearer(token))
        ]  # fmt: skip
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert "r=0" in answers[-1].headers["ratelimit"]
        at_once = site.issue(expires_at=datetime.now(UTC) + timedelta(milliseconds=700))
        assert (await buy(client, at_once)).status_code == 401, "there is no token of no seconds"


async def test_the_old_secret_dies_at_the_overlaps_end_with_its_tokens(site):
    """The new one and its tokens go on."""
    issued = site.issue()
    async with site.client() as client:
        old_token = bearer(await buy(client, issued))
        other = rotate_key(
            site.database,
            site.keyring,
            actor=ACTOR,
            key_id=issued.key.id,
            overlap=timedelta(seconds=4),
            tenant_id=EVERY_TENANT,
        )
        new_token = bearer(await buy(client, other))
        everything = ({"X-API-Key": issued.raw_key}, old_token, {"X-API-Key": other.raw_key}, new_token)
        assert [(await client.get("/v1/me", headers=each)).status_code for each in everything] == [200] * 4
        await asyncio.sleep(4.3)
        assert [(await client.get("/v1/me", headers=each)).status_code for each in everything] == [401, 401, 200, 200]


async def test_a_token_names_its_secret_by_an_id(any_site):
    """Two secrets made in one instant are two; a name of another form, as tokens had before, opens nothing."""
    issued = any_site.issue()
    with any_site.database.transaction(EVERY_TENANT) as session:
        (first,) = session.scalars(select(KeySecret).where(KeySecret.key_id == issued.key.id))
        session.add(KeySecret(id=uuid7(), digest="0" * 64, key_id=issued.key.id, pepper_id=first.pepper_id,
                              created_at=first.created_at, expires_at=first.created_at))  # fmt: skip
    tokens = Tokens(SigningKeys(any_site.database, any_site.keyring))
    subject = Subject.of_key(issued.key.id)
    async with any_site.client() as client:
        claims = json.loads(unb64((await buy(client, issued)).json()["access_token"].split(".")[1]))
        assert claims["credential"] == first.id
        old = f"{first.created_at.timestamp():.6f}"
        for credential, status in ((first.id, 200), (old, 401), (uuid7(), 401), ("", 401)):
            token, _ = tokens.issue(subject=subject, credential=credential, scope="predict", not_after=float("inf"))
            answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status, credential


async def test_anybody_can_check_a_token_with_the_published_keys(site):
    """A JWK Set without anything private; the old key stays in it for the overlap, and leaves."""
    issued = site.issue()
    async with site.client() as client:
        token = (await buy(client, issued)).json()["access_token"]
        (jwk,) = (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        message, _, signature = token.rpartition(".")
        x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in "xy")
        r, s = (int.from_bytes(half, "big") for half in (unb64(signature)[:32], unb64(signature)[32:]))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(encode_dss_signature(r, s), message.encode(), ec.ECDSA(hashes.SHA256()))
        rotated_at = time.monotonic()
        rotate_signing_key(site.database, site.keyring, actor=ACTOR)

        async def are_published(count):
            return len((await client.get("/.well-known/jwks.json")).json()["keys"]) == count

        await become(lambda: are_published(2))
        assert (await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200
        newest = (await buy(client, issued)).json()["access_token"]
        signs_at_once = newest.split(".")[0] != token.split(".")[0]
        assert not signs_at_once or time.monotonic() > rotated_at + 2, "signs once all know it"
        while newest.split(".")[0] == token.split(".")[0]:
            await asyncio.sleep(2)
            newest = (await buy(client, issued)).json()["access_token"]
        assert (await client.get("/v1/me", headers={"Authorization": f"Bearer {newest}"})).status_code == 200


async def test_a_token_is_ended_by_whoever_has_it(site):
    """RFC 7009: what is no token is answered alike; a key is not ended here."""
    issued = site.issue()
    async with site.client() as client:
        token = bearer(await buy(client, issued))
        raw = token["Authorization"].split()[1]
        for given in ("x", "a.b.c", raw[:-2] + "AA", "\u00e9"):
            assert (await client.post("/auth/revoke", data={"token": given})).status_code == 200
        assert (await client.post("/auth/revoke", data={"token": issued.raw_key})).json()[
            "error"
        ] == "unsupported_token_type"
        assert (await client.post("/auth/revoke", data={"token_type_hint": "x"})).status_code == 400
        assert (await client.get("/v1/me", headers=token)).status_code == 200
        for _ in range(2):
            assert (
                await client.post("/auth/revoke", data={"token": raw, "token_type_hint": "access_token"})
            ).status_code == 200
        ended_at = sent_at = time.monotonic()
        while (await client.get("/v1/me", headers=token)).status_code == 200:
            assert sent_at < ended_at + 1
            await asyncio.sleep(0.01)
            sent_at = time.monotonic()
        assert (await client.get("/v1/me", headers={"X-API-Key": issued.raw_key})).status_code == 200


def test_the_secret_is_rotated_and_nobody_notices(site):
    """Keys, tokens and fingerprints from before go on working, with both secrets and then with the new one alone."""
    issued, new = site.issue(), "tests: another secret, also of 32 bytes and more"
    key = {"X-API-Key": issued.raw_key}
    fingerprints, token = [], None
    steps = ({}, {"ADYTON_SECRET": new, "ADYTON_SECRET_PREVIOUS": SECRET}, {"ADYTON_SECRET": new})
    for environment in steps:
        server = Server(site, **environment)
        with server.client() as client:
            token = token or bearer(client.post("/auth/token", data=form_of(issued)))
            for headers in (key, token):
                assert client.post("/predict", json=IRIS, headers=headers).status_code == 200
            records = client.get("/audit/predictions", headers=key).json()["records"]
            fingerprints += [record["fingerprint"] for record in records]
        server.terminate()
    assert len(fingerprints) == 2 + 4 + 6
    assert len(set(fingerprints)) == 1
    with pytest.raises(RuntimeError, match="does not open"):
        Server(site)


def test_signing_keys_on_the_command_line(site):
    """Rotated and listed; with no overlap the old one is retired at once."""
    first = cli_json(site, "signing-keys", "list")
    assert [key["status"] for key in first] == ["signs"]
    second = cli_json(site, "signing-keys", "rotate")["kid"]
    third = cli_json(site, "signing-keys", "rotate", "--overlap", "0s")["kid"]
    listed = cli_json(site, "signing-keys", "list")
    assert [(key["kid"], key["status"]) for key in listed] == [
        (first[0]["kid"], "retired"),
        (second, "retired"),
        (third, "signs"),
    ]
    assert "private" not in json.dumps(listed)
    assert Scope.PREDICT == "predict"
