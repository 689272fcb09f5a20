"""Durations and instants as administrators write them, on the command line and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from admin.facts import InvalidValue
from admin.key_terms import Unbounded
from values import durations

#: Later instants do not fit every time zone's calendar.
_MAX_YEAR = 9000


def duration(text: str) -> timedelta:
    """Returns the duration that is written `90d`, `24h`, `15m`, `30s` or `2w`. Raises `InvalidValue`."""
    parsed = durations.parse(text)
    if parsed is None:
        raise InvalidValue("a duration is written 90d, 24h, 15m or 30s")
    return parsed


def ago(text: str) -> datetime:
    """Returns the instant that lies such a duration before now. Raises `InvalidValue`."""
    return datetime.now(UTC) - duration(text)


def instant(text: str) -> datetime | Unbounded:
    """Returns an instant that is written in ISO 8601 (in UTC without an offset) or as a duration from now.

    `none` clears a beginning or an end.

    Raises `InvalidValue`.
    """
    if text == Unbounded.NONE.value:
        return Unbounded.NONE
    length = durations.parse(text)
    if length is not None:
        return datetime.now(UTC) + length
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue("an instant is written 2026-12-31T23:59:59Z or 90d") from None
    if not 1 < parsed.year <= _MAX_YEAR:
        raise InvalidValue(f"an instant lies between the years 2 and {_MAX_YEAR}")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
