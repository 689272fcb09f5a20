"""Tokens that are not ours: every way to make one is 401, in the same words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from sqlalchemy import event

from admin.signing_keys import rotate_signing_key
from auth import api_keys
from auth.signing_keys import SigningKeys
from auth.tokens import InvalidToken, Tokens
from db.reach import EVERY_TENANT
from tests.support.contents import follow
from tests.support.patience import SECONDS
from tests.support.people import person, token_of
from tests.support.site import ACTOR
from values.ids import uuid7
from values.subjects import Subject

pytestmark = pytest.mark.anyio


def b64(data) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def raw_signature(key, message: bytes, algorithm=None) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(algorithm or hashes.SHA256())))
    size = (key.curve.key_size + 7) // 8
    if key.curve.name == "secp256r1":
        s = min(s, ORDER - s)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


class Forger:
    """Has a good token, what it says, and even the keys that sign."""

    def __init__(self, token: str, site) -> None:
        self.token, self.site = token, site
        head, body, _ = token.split(".")
        self.header, self.claims = json.loads(unb64(head)), json.loads(unb64(body))
        self.key = SigningKeys(site.database, site.keyring).find(self.header["kid"]).private
        self.public = self.key.public_key()

    def signed(self, header=None, claims=None, key=None, *, head=None, body=None) -> str:
        """Signed as it should be; `head` and `body` are the parts as they are to stand there."""
        head = head or b64(self.header if header is None else header)
        body = body or b64(self.claims if claims is None else claims)
        return f"{head}.{body}.{b64(raw_signature(key or self.key, f'{head}.{body}'.encode()))}"

    def by_mac(self, algorithm: str, secret: bytes, **header) -> str:
        message = f"{b64(self.header | {'alg': algorithm} | header)}.{b64(self.claims)}"
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        return f"{message}.{b64(hmac.digest(secret, message.encode(), digest))}"

    def unsigned(self, algorithm, signature: str = "") -> str:
        return f"{b64(self.header | {'alg': algorithm})}.{b64(self.claims)}.{signature}"


def without(members: dict, name: str) -> dict:
    return {key: value for key, value in members.items() if key != name}


def algorithms(f: Forger):
    signature = f.token.rpartition(".")[2]
    for algorithm in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        None,
        5,
        ["ES256"],
        "ES384",
        "RS256",
        "PS256",
        "HS256",
        "es256",
        "EdDSA",
    ):
        for left in ("", signature, "AA"):
            yield f"alg {algorithm!r} with {left[:3]!r}", f.unsigned(algorithm, left)
    encodings = {
        "PEM": f.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "DER": f.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "OpenSSH": f.public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        "point": f.public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
        "JWK": json.dumps(SigningKeys(f.site.database, f.site.keyring).published()[0]).encode(),
        "JWK, short": json.dumps(SigningKeys(f.site.database, f.site.keyring).published()[0], separators=(",", ":")).encode(),
        "nothing": b"", "its kid": f.header["kid"].encode(),
    }  # fmt: skip
    for name, secret in encodings.items():
        for algorithm in ("HS256", "HS384", "HS512"):
            yield f"{algorithm} by {name}", f.by_mac(algorithm, secret)
            yield f"{algorithm} by {name} and a line's end", f.by_mac(algorithm, secret.strip() + b"\n")
    curve = ec.generate_private_key(ec.SECP384R1())
    yield "another curve", f.signed(f.header | {"alg": "ES384"}, key=curve)
    yield "another curve, as ES256", f.signed(key=curve)
    yield "another key under our kid", f.signed(key=ec.generate_private_key(ec.SECP256R1()))


def headers(f: Forger):
    for typ in ("JWT", "AT+JWT", "application/at+jwt", "at+JWT", "", None, 5, "dpop+jwt"):
        yield f"typ {typ!r}", f.signed(f.header | {"typ": typ})
    for name in ("typ", "kid", "alg"):
        yield f"no {name}", f.signed(without(f.header, name))
    own = SigningKeys(f.site.database, f.site.keyring).published()[0]
    attacker = ec.generate_private_key(ec.SECP256R1())
    numbers = attacker.public_key().public_numbers()
    jwk = own | {"x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
    for name, value in {
        "jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/cert", "x5c": ["MIIB"], "jwk": jwk, "crit": ["exp"],
        "b64": False, "zip": "DEF", "cty": "JWT", "x5t": "x", "enc": "A128GCM", "exp": 9999999999, "": "",
    }.items():  # fmt: skip
        yield f"{name} in the header", f.signed(f.header | {name: value})
        yield f"{name} in the header, by another key", f.signed(f.header | {name: value}, key=attacker)
    for kid in ("../../dev/null", "/etc/passwd", "' OR 1=1 --", "1; DROP TABLE keys", 5, None, ["x"], {"a": 1}, "", "x" * 900, "\0",
                hashlib.sha256(b"").hexdigest(), f.header["kid"] + "=", f.header["kid"].lower()):  # fmt: skip
        yield f"kid {str(kid)[:20]!r}", f.signed(f.header | {"kid": kid})
    log_key = ec.generate_private_key(ec.SECP256R1())
    der = log_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with f.site.database.transaction(EVERY_TENANT) as session:
        row = f.site.keyring.add(session, "log-signing", der)
    for kid in (str(row.number), row.id, row.number):
        yield f"a key that signs the log, kid {kid}", f.signed(f.header | {"kid": kid}, key=log_key)


def claims(f: Forger):
    now = int(time.time())
    for name in f.claims:
        yield f"no {name}", f.signed(claims=without(f.claims, name))
        for value in (None, True, 5, 5.5, "5", [], {}, [f.claims[name]], str(f.claims[name]) + "x", -1, 10**400):
            # Scopes that there are not are none: such a token may do nothing.
            if value != f.claims[name] and not (name == "scope" and isinstance(value, str)):
                yield f"{name} {str(value)[:20]!r}", f.signed(claims=f.claims | {name: value})
    for changed in (
        {"aud": "other"}, {"aud": ["other"]}, {"aud": ["adyton", "other"]}, {"aud": []}, {"iss": "https://evil.example"},
        {"exp": now - 1}, {"exp": now}, {"exp": now + 86_400}, {"exp": float(now + 60)}, {"exp": "9" * 20}, {"nbf": now + 60}, {"nbf": now - 60},
        {"iat": now + 60, "exp": now + 120}, {"iat": now - 3600}, {"jti": "x"}, {"jti": uuid7()[:-1]}, {"tenant_id": "x"}, {"role": "admin"},
        {"sub": "user:" + f.claims["sub"][4:]}, {"sub": "key:000000000000"}, {"sub": "key:"}, {"sub": ""}, {"sub": "admin"},
        {"sub": f"user:{uuid7()}"}, {"credential": "0.000000"}, {"credential": "1"},
    ):  # fmt: skip
        yield str(changed)[:50], f.signed(claims=f.claims | changed)


def spellings(f: Forger):
    head, body, signature = f.token.split(".")
    for name, part in (("header", head), ("claims", body)):
        text = unb64(part).decode()
        members = json.loads(text)
        first = next(iter(members))
        for how, written in {
            "a member twice": text[:-1] + f',"{first}":{json.dumps(members[first])}' + "}",
            "a member twice, the first another": "{" + f'"{first}":"x",' + text[1:],
            "a space": text.replace(":", ": ", 1), "a line's end": text + "\n", "an escape": text.replace(f'"{first}"', f'"\\u{ord(first[0]):04x}{first[1:]}"', 1),
            "a byte order mark": "\ufeff" + text, "a list": f"[{text}]", "nothing": "", "null": "null", "deep": "[" * 700,
            "cut": text[:-1],
        }.items():  # fmt: skip
            yield f"{name}: {how}", f.signed(**{"head" if name == "header" else "body": b64(written.encode()) or "e30"})
        yield (
            f"{name}: padded",
            f.signed(**{"head" if name == "header" else "body": part + "=" * (-len(part) % 4 or 4)}),
        )
    der = f.key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    for how, bad in {"DER": b64(der), "zero": b64(bytes(64)), "none": "", "short": signature[:-2], "long": signature + "AA", "padded": signature + "==",
                     "twice": signature + signature}.items():  # fmt: skip
        yield f"signature: {how}", f"{head}.{body}.{bad}"
    for text in ("", ".", "..", "a.b", "a.b.c", "a.b.c.d", f"{f.token}.", f".{f.token}", f"{head}.{body}", f"{head}..{signature}",
                 f"{body}.{head}.{signature}", "Bearer", f.token + "\xe9", f.token[:-1], f.token.replace("_", "/").replace("-", "+") + "=="):  # fmt: skip
        yield f"form {text[:20]!r}", text
    yield "at the head's bound", f"{head}.{b64(b'x' * 44_000)}.{signature}"
    yield "at the head's bound, one part", "e" * 60_000


def other_signatures(f: Forger):
    """Of the same token, made without the key: ECDSA takes (r, n - s) for (r, s), and numbers past the order wrap."""
    message, _, signature = f.token.rpartition(".")
    r, s = (int.from_bytes(half, "big") for half in (unb64(signature)[:32], unb64(signature)[32:]))
    f.public.verify(encode_dss_signature(r, ORDER - s), message.encode(), ec.ECDSA(hashes.SHA256()))
    pairs = {"high s": (r, ORDER - s), "negative r": (ORDER - r, s), "both": (ORDER - r, ORDER - s), "swapped": (s, r),
             "no s": (r, 0), "the order": (r, ORDER), "half and one": (r, ORDER // 2 + 1), "all ones": (r, 2**256 - 1)}  # fmt: skip
    for name, numbers in pairs.items():
        yield name, f"{message}.{b64(b''.join(number.to_bytes(32, 'big') for number in numbers))}"
    if s + ORDER < 2**256:
        yield "s past the order", f"{message}.{b64(r.to_bytes(32, 'big') + (s + ORDER).to_bytes(32, 'big'))}"
    for count in range(30):
        r, s = decode_dss_signature(f.key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        high = max(s, ORDER - s)
        yield f"signed again, high, {count}", f"{message}.{b64(r.to_bytes(32, 'big') + high.to_bytes(32, 'big'))}"
        yield f"signed again, DER, {count}", f"{message}.{b64(encode_dss_signature(r, min(s, high)))}"


def flips(f: Forger):
    for place, character in enumerate(f.token):
        for bit in (0, 1, 4):
            flipped = chr(ord(character) ^ (1 << bit))
            if flipped.isprintable() and flipped != " ":
                yield f"bit {bit} of {place}", f.token[:place] + flipped + f.token[place + 1 :]


@pytest.mark.parametrize(
    "forge", [algorithms, headers, claims, spellings, other_signatures, flips], ids=lambda forge: forge.__name__
)
async def test_a_forged_token_is_nobodys(site, forge):
    """The same 401 as an unknown key's, whatever was forged; and a good one works before and after."""
    async with site.client() as client:
        forger = Forger(await bought(client, site), site)
        assert await status(client, forger.token) == 200
        assert await status(client, forger.signed()) == 200, "what is forged by hand is good where nothing is wrong"
        unknown = await look(client, api_keys.mint())
        tried = 0
        for name, token in forge(forger):
            # From many addresses: one would be throttled for its failures.
            client._transport.client = (f"10.0.0.{tried // 500}", 1)
            if token != forger.token:
                assert await look(client, token) == unknown, name
                tried += 1
        assert tried > 30
        assert await status(client, forger.signed()) == 200


async def test_a_retired_keys_token_is_nobodys(site):
    """And so is one that is signed with it afterwards: the same 401 as an unknown key's."""
    async with site.client() as client:
        forger = Forger(await bought(client, site), site)
        unknown = await look(client, api_keys.mint())
        assert await status(client, forger.token) == 200
        rotate_signing_key(site.database, site.keyring, actor=ACTOR, overlap=timedelta(0))
        await follow()
        for presented in (forger.token, forger.signed(), forger.signed(claims=forger.claims | {"jti": uuid7()})):
            assert await look(client, presented) == unknown
        assert unknown[0] == 401
        assert await status(client, await bought(client, site)) == 200


async def test_a_persons_token_is_of_one_person_and_one_password(site):
    """Signed properly, with another generation, another person's id, or a key's credential: nobody's."""
    first, _ = person(site, "admin"), person(site, "auditor")
    async with site.client() as client:
        forger = Forger((await token_of(client, first))["Authorization"].split()[1], site)
        assert await status(client, forger.signed()) == 200
        for changed in ({"credential": "0"}, {"credential": "2"}, {"credential": ""}, {"sub": f"user:{uuid7()}"}, {"sub": "user:"},
                        {"sub": "user:x"}, {"sub": "user:' OR 1=1"}, {"sub": forger.claims["sub"].upper()}):  # fmt: skip
            assert await status(client, forger.signed(claims=forger.claims | {"jti": uuid7()} | changed)) == 401, (
                changed
            )
        claimed = forger.claims | {"jti": uuid7(), "scope": "auditor predict"}
        me = await client.get("/v1/me", headers={"Authorization": f"Bearer {forger.signed(claims=claimed)}"})
        assert (me.status_code, me.json()["role"]) == (200, "admin"), "what a person may do is not the token's to say"


async def test_what_cannot_be_a_token_costs_no_query(site):
    """Its form is looked at first; and a token that was seen costs neither a query nor a signature."""
    statements: list[str] = []
    async with site.client() as client:
        good = await bought(client, site)
        assert await status(client, good) == 200
        parts = client.app.state.parts
        parts.follower.close()
        # What the follower had still to say is said; and the news lasts for as long as this takes.
        await asyncio.sleep(0)
        parts.directory.follow((), time.monotonic() + SECONDS)
        for database in (parts.database, parts.vital):
            event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        for presented in ("a.b", "a.b.c.d", "x" * 5000, "é.é.é", "a" * 2000 + ".b.c" + "d" * 100):
            assert await status(client, presented) == 401
        forger = Forger(good, site)
        statements.clear()
        assert await status(client, forger.signed(key=ec.generate_private_key(ec.SECP256R1()))) == 401
        assert statements == [], "a signature is looked at before the database is"
        verify = parts.tokens.verify
        object.__setattr__(parts.tokens, "verify", None)
        assert await status(client, good) == 200
        object.__setattr__(parts.tokens, "verify", verify)
        assert statements == []


async def test_every_token_has_the_lower_of_its_two_signatures(site):
    """Of forty tokens each is written the one way that is taken, so that none has a second spelling."""
    tokens = Tokens(SigningKeys(site.database, site.keyring))
    for _ in range(40):
        subject = Subject.of_user(uuid7())
        token, _ = tokens.issue(subject=subject, credential="1", scope="admin", not_after=float("inf"))
        message, _, signature = token.rpartition(".")
        raw = unb64(signature)
        assert len(raw) == 64
        assert int.from_bytes(raw[32:], "big") <= ORDER // 2
        assert tokens.verify(token.encode()).subject == subject
        other = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
        with pytest.raises(InvalidToken):
            tokens.verify(f"{message}.{b64(other)}".encode())


async def bought(client, site) -> str:
    issued = site.issue()
    form = {"grant_type": "client_credentials", "client_id": issued.key.id, "client_secret": issued.raw_key}
    return (await client.post("/auth/token", data=form)).json()["access_token"]


async def look(client, presented: str):
    answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {presented}".encode()})
    body = answer.json()
    body.pop("request_id", None)
    return answer.status_code, body, {n: v for n, v in answer.headers.items() if n not in ("x-request-id", "date")}


async def status(client, presented: str) -> int:
    return (await look(client, presented))[0]
