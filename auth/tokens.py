"""Access tokens: JWTs by RFC 9068, under the rules of RFC 8725; the only file that knows python-jose.

One algorithm, ES256. A token is accepted only if this program would write its content in the same bytes: a member
twice, white space, unused bits, a header with anything but `alg`, `kid` and `typ` are refused. So is the second
signature that ECDSA has for everything that was signed.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from typing import Any

from jose import jwk, jwt
from jose.exceptions import JOSEError

from auth.signing_keys import SigningKeys, is_low, lowered
from values import base64url
from values.ids import is_uuid7, uuid7
from values.subjects import Subject

ALGORITHM = "ES256"
TYPE = "at+jwt"
ISSUER = AUDIENCE = "adyton"
LIFE_SECONDS = 900
#: The clocks of the machines that issue and verify tokens may differ by this much.
SKEW_SECONDS = 5
MAX_BYTES = 2048
#: The `client_id` of a person's token, who has no client of their own.
BY_PASSWORD = "password"  # noqa: S105  a name, no secret
_HEADER = {"alg", "kid", "typ"}
_CLAIMS = {"iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "credential"}
_FORM = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = {f"require_{claim}": True for claim in ("aud", "exp", "iat", "iss", "jti", "sub")}


class InvalidToken(Exception):
    """The text is not a token of ours that is valid now. The caller is not told why."""


@dataclass(frozen=True, slots=True)
class Claims:
    """A valid token's content; `expires_at` is in seconds since 1970.

    `credential` is the id of the secret that bought the token, or the generation of a person's tokens.
    `signing_key` is the number of the key that signed it.
    """

    token_id: str
    subject: Subject
    credential: str
    scope: str
    expires_at: float
    signing_key: int

    def until(self, instant: float) -> Claims:
        """Returns the same claims, which expire at that instant or before."""
        return replace(self, expires_at=min(self.expires_at, instant))


class Tokens:
    """Issues and verifies tokens with the signing keys of the moment."""

    def __init__(self, keys: SigningKeys) -> None:
        self.keys = keys

    def issue(self, *, subject: Subject, credential: str, scope: str, not_after: float) -> tuple[str, int]:
        """Returns a token and its life in seconds: 15 minutes, or less if the credential behind it ends at `not_after`.

        Raises `InvalidToken` if that is within a second.
        """
        now = int(time.time())
        client_id = subject.id if subject.kind == "key" else BY_PASSWORD
        life = int(min(LIFE_SECONDS, not_after - time.time()))
        if life < 1:
            raise InvalidToken
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": client_id,
            "iat": now,
            "exp": now + life,
            "jti": uuid7(),
            "scope": scope,
            "credential": credential,
        }
        key = self.keys.signs()
        signer = jwk.construct(key.private, ALGORITHM)
        signed = jwt.encode(claims, signer, ALGORITHM, headers={"kid": key.kid, "typ": TYPE})
        message, _, signature = str(signed).rpartition(".")
        return f"{message}.{base64url.encoded(lowered(base64url.decoded(signature)))}", life

    def verify(self, raw_token: bytes) -> Claims:
        """Returns the claims of a valid token. Raises `InvalidToken`."""
        check_form(raw_token)
        header, claims = (_canonical(part) for part in raw_token.split(b".")[:2])
        # The header first: nothing that a forger wrote there may decide how the rest is read.
        if header.keys() != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise InvalidToken
        key = self.keys.find(header["kid"]) if isinstance(header["kid"], str) else None
        if key is None:
            raise InvalidToken
        # Then the claims: python-jose stumbles over values of other types.
        content = _checked(claims, key.number)
        _decode(raw_token, jwk.construct(key.private.public_key(), ALGORITHM))
        return content if key.retired_at is None else content.until(key.retired_at.timestamp())


def check_form(raw_token: bytes) -> None:
    """Raises `InvalidToken` for a text that cannot be a token, before any other work."""
    if len(raw_token) > MAX_BYTES or not _FORM.fullmatch(raw_token):
        raise InvalidToken


def _decode(raw_token: bytes, key: Any) -> None:
    text = raw_token.decode("ascii")
    try:
        # A signature of 64 bytes leaves unused bits in its last character, which must not make a second token.
        if not is_low(base64url.decoded(text.rpartition(".")[2])):
            raise InvalidToken
        jwt.decode(text, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_REQUIRED)
    except (JOSEError, ValueError):
        raise InvalidToken from None


def _checked(claims: dict[str, Any], signing_key: int) -> Claims:
    now = time.time()
    times = claims.get("iat"), claims.get("exp")
    if claims.keys() != _CLAIMS or not all(type(each) is int for each in times):
        raise InvalidToken
    texts = ("iss", "aud", "sub", "client_id", "jti", "scope", "credential")
    if not all(isinstance(claims[name], str) for name in texts) or not is_uuid7(claims["jti"]):
        raise InvalidToken
    try:
        subject = Subject.parse(claims["sub"])
    except ValueError:
        raise InvalidToken from None
    if claims["client_id"] != (subject.id if subject.kind == "key" else BY_PASSWORD):
        raise InvalidToken
    if not now < claims["exp"] <= claims["iat"] + LIFE_SECONDS or claims["iat"] > now + SKEW_SECONDS:
        raise InvalidToken
    return Claims(claims["jti"], subject, claims["credential"], claims["scope"], claims["exp"], signing_key)


def _canonical(part: bytes) -> dict[str, Any]:
    """Returns the members of a part that is written as this program writes it. Raises `InvalidToken`."""
    try:
        members = json.loads(base64url.decoded(part.decode("ascii")))
        written = json.dumps(members, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise InvalidToken from None
    if not isinstance(members, dict) or base64url.encoded(written) != part.decode("ascii"):
        raise InvalidToken
    return members
