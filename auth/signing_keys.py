"""The keys that sign tokens: ECDSA on P-256, each published from its first moment until its last token has ended."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from auth.keyring import TOKEN_SIGNING, Keyring
from db.changes import announce
from db.database import ChangedMeanwhile, Database
from db.reach import EVERY_TENANT, LOOKUP
from db.wrapped_secrets import wrapped_of
from values import base64url

#: A new key signs only when every process knows it: they read changes four times a second, or let nobody in.
SIGNS_AFTER = timedelta(seconds=2)
#: The id under which any change of them is announced; every caller by a token depends on it.
THE_KEYS = "signing-keys"
_COORDINATE_BYTES = 32
#: The order of P-256's base point (SEC 2, section 2.4.2).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key: `kid` is its thumbprint (RFC 7638), `public` its JWK (RFC 7517)."""

    kid: str
    public: dict[str, str]
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    number: int
    created_at: datetime
    retired_at: datetime | None

    def is_retired(self, now: datetime) -> bool:
        return self.retired_at is not None and self.retired_at <= now


class SigningKeys:
    """The signing keys as this process knows them. Creates the first key if there is none."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._by_kid: dict[str, SigningKey] = {}
        self.reload()
        if not self._by_kid:
            # Another process may make the first key at the same moment: then this process uses that one.
            with suppress(ChangedMeanwhile), database.transaction(EVERY_TENANT) as session:
                add_signing_key(session, keyring)
                announce(session, "signing-keys", THE_KEYS)
            self.reload()

    def reload(self) -> None:
        """Reads the keys from the database, again after each change. Raises `DatabaseUnavailable` or `WrongSecret`."""
        with self._database.reading(LOOKUP) as session:
            keys = [_signing_key(row, der) for row, der in self._keyring.open(session, TOKEN_SIGNING)]
        self._by_kid = {key.kid: key for key in keys}

    def signs(self) -> SigningKey:
        """Returns the key that signs now."""
        now = datetime.now(UTC)
        living = [key for key in self._by_kid.values() if not key.is_retired(now)]
        known = [key for key in living if key.created_at + SIGNS_AFTER <= now]
        return known[-1] if known else living[0]

    def find(self, kid: str) -> SigningKey | None:
        """Returns the key with that `kid`, if its signatures are still accepted."""
        key = self._by_kid.get(kid)
        return None if key is None or key.is_retired(datetime.now(UTC)) else key

    def all(self) -> list[SigningKey]:
        """Returns every key, retired ones too, the newest last."""
        return list(self._by_kid.values())

    def published(self) -> list[dict[str, str]]:
        """Returns the JWK of each key that is not retired."""
        now = datetime.now(UTC)
        return [key.public for key in self._by_kid.values() if not key.is_retired(now)]


def add_signing_key(session: Session, keyring: Keyring) -> str:
    """Makes a key; returns its `kid`."""
    private = ec.generate_private_key(ec.SECP256R1())
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _signing_key(keyring.add(session, TOKEN_SIGNING, der), der).kid


def retire_others(session: Session, overlap: timedelta) -> int:
    """Retires every key but the newest after `overlap`, unless it retires sooner; returns how many it gave an end."""
    end = datetime.now(UTC) + overlap
    leaving = [row for row in wrapped_of(session, TOKEN_SIGNING)[:-1] if row.retired_at is None or row.retired_at > end]
    for row in leaving:
        row.retired_at = end
    return len(leaving)


def lowered(signature: bytes) -> bytes:
    """Returns the signature (r and s, 32 bytes each: RFC 7518, section 3.4) with the smaller of its two values of s.

    If (r, s) is a signature on P-256, then so is (r, n - s): anybody who has one can write the other without a key.
    """
    r, s = signature[:_COORDINATE_BYTES], int.from_bytes(signature[_COORDINATE_BYTES:], "big")
    return r + min(s, _ORDER - s).to_bytes(_COORDINATE_BYTES, "big")


def is_low(signature: bytes) -> bool:
    """Whether the signature has the right length, and the smaller of its two values of s."""
    s = int.from_bytes(signature[_COORDINATE_BYTES:], "big")
    return len(signature) == 2 * _COORDINATE_BYTES and 0 < s <= _ORDER // 2


def _signing_key(row: Any, der: bytes) -> SigningKey:
    private = serialization.load_der_private_key(der, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("a signing key is not an elliptic-curve key")
    numbers = private.public_key().public_numbers()
    jwk = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    kid = base64url.encoded(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())
    public = jwk | {"kid": kid, "alg": "ES256", "use": "sig"}
    return SigningKey(kid, public, private, row.number, row.created_at, row.retired_at)


def _coordinate(number: int) -> str:
    return base64url.encoded(number.to_bytes(_COORDINATE_BYTES, "big"))
