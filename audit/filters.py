"""The filters of a search in the prediction log: from words to values.

Every filter has a form, and anything else is refused: free words could be a key or somebody's card number, and each
search is recorded in an event that is kept for ever. `Wanted.to_keep` returns the filters as such an event keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audit.record import ANSWERED, FAILED, REFUSED, WITHDRAWN
from values import durations
from values.ids import is_uuid7
from values.instants import instant_text, ms_of
from values.names import RULE, is_name

_KEY_ID = re.compile(r"[0-9A-Za-z]{12}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_STATUS = re.compile(r"[1-5][0-9]{2}")
_MILLISECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# RFC 3339, section 5.6.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_INSTANT_RULE = "is written 2026-12-31T23:59:59Z (a + in it as %2B), 2026-12-31, or as an age such as 2h"


class InvalidFilter(Exception):
    """A filter does not have its form; `rule` states the form, and never repeats what was given."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__()
        self.name = name
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The filters of one search; None stands for no filter.

    `tenant`, `model` and `version` are names, and may name nothing. An `outcome` that ends with a colon stands for all
    outcomes that begin with it. `from_at` is inclusive, `to_at` exclusive.
    """

    tenant: str | None = None
    key: str | None = None
    model: str | None = None
    version: str | None = None
    outcome: str | None = None
    status: int | None = None
    request_id: str | None = None
    fingerprint: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    min_latency_us: int | None = None

    def to_keep(self) -> dict[str, Any]:
        """The filters that hold no words of the caller's, as an event keeps them.

        Of a fingerprint, an event keeps only that one was asked for. The other filters name things, and only the
        database knows their ids.
        """
        kept = {
            "outcome": self.outcome and self.outcome.removesuffix(":"),
            "status": self.status,
            "fingerprint": None if self.fingerprint is None else True,
            "from": self.from_at and instant_text(ms_of(self.from_at)),
            "to": self.to_at and instant_text(ms_of(self.to_at)),
            "min_latency_ms": None if self.min_latency_us is None else self.min_latency_us / 1000,
        }
        return {name: value for name, value in kept.items() if value is not None}


def read_filters(words: Mapping[str, str | None], problems: Collection[str]) -> Wanted:
    """The given filters, by their names in docs/audit-log.md; None is not given. Raises `InvalidFilter`.

    `problems` are the names of the problems that can refuse a prediction.
    """

    def read(name: str, form: Callable[[str], Any], rule: str) -> Any:
        word = words.get(name)
        value = None if word is None else form(word)
        if word is not None and value is None:
            raise InvalidFilter(name, rule)
        return value

    return Wanted(
        tenant=read("tenant", _name, RULE),
        key=read("key", _match(_KEY_ID), "is a key's id: 12 letters and digits"),
        model=read("model", _name, RULE),
        version=read("version", _name, RULE),
        outcome=read("outcome", _outcomes(problems).get, "is answered, failed, withdrawn, refused or refused:PROBLEM"),
        status=read("status", lambda word: int(word) if _STATUS.fullmatch(word) else None, "is an HTTP status"),
        request_id=read("request_id", lambda word: word if is_uuid7(word) else None, "is a UUIDv7 in small letters"),
        fingerprint=read("fingerprint", _match(_FINGERPRINT), "is 64 of 0-9 and a-f"),
        from_at=read("from", _instant, _INSTANT_RULE),
        to_at=read("to", _instant, _INSTANT_RULE),
        min_latency_us=read("min_latency_ms", _microseconds, "is a number of milliseconds below 1000000000"),
    )


def _match(form: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda word: word if form.fullmatch(word) else None


def _name(word: str) -> str | None:
    return word if is_name(word) else None


def _outcomes(problems: Collection[str]) -> dict[str, str]:
    """For each word the outcome, or the beginning of outcomes, that it stands for."""
    whole = [ANSWERED, FAILED, WITHDRAWN, *(REFUSED + problem for problem in problems)]
    return dict(zip(whole, whole, strict=True)) | {REFUSED.removesuffix(":"): REFUSED}


def _microseconds(word: str) -> int | None:
    return round(float(word) * 1000) if _MILLISECONDS.fullmatch(word) else None


def _instant(word: str) -> datetime | None:
    """A date is its first instant, an age the instant so long before now; both in UTC."""
    age = durations.parse(word)
    if age is not None:
        return datetime.now(UTC) - age
    try:
        if _DATE.fullmatch(word):
            return datetime.fromisoformat(word).replace(tzinfo=UTC)
        # Other zones have first and last hours of the calendar that do not exist in UTC.
        return datetime.fromisoformat(word.upper()).astimezone(UTC) if _INSTANT.fullmatch(word) else None
    except (ValueError, OverflowError):
        return None
