"""Pure functions that make API keys, take them apart and digest them.

A key is `ady_` + 12 characters of key id + 32 of secret + 6 of checksum, all base62. The checksum is the CRC-32 of
the 44 characters before it: it tells a mistyped key, or a scanner's false hit, from a real one without a query.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "ady_"
KEY_PATTERN = re.compile(rb"ady_[0-9A-Za-z]{50}")
ID_LENGTH = 12
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6


class MalformedKey(Exception):
    """The text cannot be a key: its form is wrong, or its checksum does not fit."""


def mint(key_id: str | None = None) -> str:
    """Returns a new key with 190 random bits of secret; a rotation passes the `key_id` of the existing key."""
    body = (key_id or _random(ID_LENGTH)) + _random(SECRET_LENGTH)
    return PREFIX + body + checksum(body)


def key_id_of(raw_key: bytes) -> str:
    """Returns the key id within a well-formed key. Raises `MalformedKey`."""
    if not KEY_PATTERN.fullmatch(raw_key):
        raise MalformedKey
    text = raw_key.decode("ascii")
    body, given = text[len(PREFIX) : -CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if checksum(body) != given:
        raise MalformedKey
    return body[:ID_LENGTH]


def checksum(body: str) -> str:
    """Returns the CRC-32 (ISO-HDLC, as in zlib) of ASCII characters, in base62, padded with `0` to six characters."""
    number, digits = zlib.crc32(body.encode("ascii")), ""
    while number:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits.rjust(CHECKSUM_LENGTH, "0")


class Pepper:
    """A numbered secret that keys are digested with.

    A fast digest is enough: nobody can try 2**190 secrets, and argon2 would cost a hundred predictions.
    """

    def __init__(self, number: int, secret: bytes) -> None:
        self.number = number
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def digest(self, raw_key: bytes) -> str:
        """Returns the form in which a key is stored: its HMAC-SHA-256, in hex."""
        keyed = self._keyed.copy()
        keyed.update(raw_key)
        return keyed.hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
