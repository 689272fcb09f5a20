"""The random keys behind everything secret, kept in the database encrypted under SECRET.

Each is wrapped with AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA-256 (RFC 5869) makes from SECRET, bound
to its purpose, number and tenant, so that a wrapped key moved to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.orm import Session

from auth.api_keys import Pepper
from db.database import ChangedMeanwhile, Database
from db.reach import EVERY_TENANT, NO_TENANT
from db.tables import WrappedSecret
from db.wrapped_secrets import all_wrapped, next_number, wrapped_of, wrapped_of_tenant
from values.ids import uuid7

PEPPER = "pepper"
ARTIFACT_MAC = "artifact-mac"
FINGERPRINT = "fingerprint"
TOKEN_SIGNING = "token-signing"  # noqa: S105  a purpose, no secret
KEY_BYTES = 32
NONCE_BYTES = 12


class WrongSecret(Exception):
    """Neither SECRET nor SECRET_PREVIOUS opens what this database holds."""


class Keyring:
    """Opens and makes wrapped keys; holds the peppers and the key that authenticates model files."""

    def __init__(self, database: Database, secret: bytes, previous: bytes | None = None) -> None:
        self._database = database
        self._ciphers = [_cipher(each) for each in (secret, previous) if each]
        try:
            self._prepare()
        except ChangedMeanwhile:
            # Another process made the first keys at the same moment: this process uses them too.
            self._prepare()

    def reload(self) -> None:
        """Reads the peppers again: another process may have added one.

        Raises `DatabaseUnavailable` or `WrongSecret`.
        """
        with self._database.reading(NO_TENANT) as session:
            self.peppers = [Pepper(row.number, secret) for row, secret in self.open(session, PEPPER)]

    def _prepare(self) -> None:
        with self._database.transaction(EVERY_TENANT) as session:
            self._rewrap(session)
            self.peppers = [Pepper(number, secret) for number, secret in self._open_or_make(session, PEPPER)]
            self._artifact_key = self._open_or_make(session, ARTIFACT_MAC)[-1][1]

    def digests(self, raw_key: bytes) -> Sequence[str]:
        """Returns the key's digests under every pepper, the newest first."""
        return [pepper.digest(raw_key) for pepper in reversed(self.peppers)]

    def newest_digest(self, raw_key: str) -> tuple[int, str]:
        """Returns the newest pepper's number, and the key's digest under it, which is to be stored."""
        return self.peppers[-1].number, self.peppers[-1].digest(raw_key.encode("ascii"))

    def version_mac(self, facts: bytes) -> str:
        """Returns the HMAC-SHA-256 of a version's facts: an altered row cannot vouch for an altered file."""
        return hmac.digest(self._artifact_key, facts, hashlib.sha256).hex()

    def make_fingerprint_key(self, session: Session, *, tenant_id: str) -> None:
        """Gives a new tenant the key of its fingerprints; once it is destroyed, they identify nothing."""
        session.add(self._wrap(FINGERPRINT, 1, os.urandom(KEY_BYTES), tenant_id))

    def fingerprint_key(self, session: Session, *, tenant_id: str) -> bytes:
        """Returns the key of a tenant's fingerprints, empty once it is destroyed. Raises `WrongSecret`."""
        row = wrapped_of_tenant(session, FINGERPRINT, tenant_id=tenant_id)
        return b"" if row is None else self._unwrap(row)

    def add(self, session: Session, purpose: str, secret: bytes) -> WrappedSecret:
        """Wraps a secret that belongs to no tenant, under its purpose's next number, and returns its row."""
        row = self._wrap(purpose, next_number(session, purpose), secret)
        session.add(row)
        session.flush()
        return row

    def open(self, session: Session, purpose: str) -> list[tuple[WrappedSecret, bytes]]:
        """Returns every secret of that purpose that belongs to no tenant, the oldest first. Raises `WrongSecret`."""
        return [(row, self._unwrap(row)) for row in wrapped_of(session, purpose)]

    def keyed_digest(self, purpose: str, text: str) -> str:
        """Returns the HMAC-SHA-256 of a text under the first pepper, in hex; the database alone does not reveal it."""
        return self.peppers[0].digest(f"{purpose}/{text}".encode())

    def _open_or_make(self, session: Session, purpose: str) -> list[tuple[int, bytes]]:
        if not wrapped_of(session, purpose):
            self.add(session, purpose, os.urandom(KEY_BYTES))
        return [(row.number, secret) for row, secret in self.open(session, purpose)]

    def _rewrap(self, session: Session) -> None:
        """Wraps again what SECRET_PREVIOUS wrapped, so that the operator can forget it."""
        if len(self._ciphers) == 1:
            return
        for row in all_wrapped(session, tenant_id=EVERY_TENANT):
            row.wrapped = self._wrap(row.purpose, row.number, self._unwrap(row), row.tenant_id).wrapped

    def _wrap(self, purpose: str, number: int, key: bytes, tenant_id: str | None = None) -> WrappedSecret:
        nonce = os.urandom(NONCE_BYTES)
        row = WrappedSecret(
            id=uuid7(), purpose=purpose, number=number, tenant_id=tenant_id, created_at=datetime.now(UTC)
        )
        row.wrapped = base64.b64encode(nonce + self._ciphers[0].encrypt(nonce, key, _binding(row))).decode("ascii")
        return row

    def _unwrap(self, row: WrappedSecret) -> bytes:
        sealed = base64.b64decode(row.wrapped)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _binding(row))
            except InvalidTag:
                continue
        raise WrongSecret(f"SECRET does not open this database's {row.purpose} number {row.number}")


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=b"adyton wrapping key 1").derive(secret))


def _binding(row: WrappedSecret) -> bytes:
    return f"{row.purpose}/{row.number}/{row.tenant_id or '-'}".encode("ascii")
