"""What may be stored of a value, and what may be written to the log output.

Two things are kept apart here: a model's schema says of each feature what may be stored of it (`pii`), and whatever
the schema says, secrets and personal data are looked for in text.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

Pii = Literal["no", "mask", "fingerprint", "drop"]
MASK = "***"

_SECRETS = re.compile(
    # Each begins only where a word begins, and is bounded: text of one kind of character must not cost its square.
    r"ady_[0-9A-Za-z]{20,}|(?<![\w-])eyJ[\w-]{1,4096}\.[\w-]{1,4096}\.[\w-]*|(?i:bearer|basic)\s{1,8}[\w.~+/=-]+"
    r"|(?<=://)[^/\s:@]{1,64}:[^@\s/]{1,128}@"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_NATIONAL_ID = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
_PHONE = re.compile(r"(?<![\w.])\+?\d{1,3}[ .-]?\(?\d{2,4}\)?(?:[ .-]\d{2,4}){2,4}\b|(?<!\w)\+\d{8,15}\b")


class Redactor:
    """Makes of validated rows the JSON that may be stored, for one version's schema."""

    def __init__(self, pii: Mapping[str, Pii], *, has_text: bool) -> None:
        self._levels = pii
        self._is_needed = has_text or any(level != "no" for level in pii.values())

    def inputs(self, rows: Sequence[Mapping[str, Any]], fingerprint_key: bytes) -> str:
        """The rows as JSON text, without what the schema forbids to store."""
        if self._is_needed:
            rows = [self._row(row, fingerprint_key) for row in rows]
        return orjson.dumps(rows).decode()

    def _row(self, row: Mapping[str, Any], fingerprint_key: bytes) -> dict[str, Any]:
        stored = {}
        for name, value in row.items():
            level = self._levels.get(name, "no")
            if level == "mask":
                stored[name] = MASK
            elif level == "fingerprint":
                stored[name] = fingerprint(fingerprint_key, name, value)
            elif level == "no":
                stored[name] = _text(value)
        return stored


def fingerprint(key: bytes, name: str, value: Any) -> str:
    """HMAC-SHA-256 of a value under its tenant's key, apart for each feature; the same value gives the same text."""
    return hmac.digest(key, orjson.dumps([name, value]), hashlib.sha256).hex()


def scrub(text: str) -> str:
    """Text without keys, tokens, passwords in URLs, e-mail addresses, and card, account, telephone and national ids."""
    text = _EMAIL.sub(MASK, _SECRETS.sub(MASK, text))
    text = _IBAN.sub(lambda match: MASK if _is_iban(match[0]) else match[0], text)
    text = _CARD.sub(lambda match: MASK if _passes_luhn(match[0]) else match[0], text)
    return _PHONE.sub(MASK, _NATIONAL_ID.sub(MASK, text))


def scrub_secrets(text: str) -> str:
    """Text without keys, tokens, passwords in URLs and e-mail addresses: for lines that are full of numbers."""
    return _EMAIL.sub(MASK, _SECRETS.sub(MASK, text))


def _text(value: Any) -> Any:
    return scrub(value) if isinstance(value, str) else value


def _passes_luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(char) for char in reversed(number) if char.isdigit()]
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits)]
    return sum(doubled) % 10 == 0


def _is_iban(account: str) -> bool:
    """ISO 13616: the account moved round and letters as 10 to 35 leave 1 when divided by 97."""
    compact = account.replace(" ", "")
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1
