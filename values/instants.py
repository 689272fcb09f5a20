"""Instants in milliseconds since 1970, UTC, as ids, records and seals count them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def now_ms() -> int:
    """Returns the milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def instant(at_ms: int) -> datetime:
    """Returns the aware UTC instant of milliseconds since 1970, exactly."""
    seconds, ms = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)


def ms_of(at: datetime) -> int:
    """Returns the milliseconds since 1970 of an aware instant, rounded."""
    return round(at.timestamp() * 1000)


def instant_text(at_ms: int) -> str:
    """Returns `2026-11-23T10:15:00.123Z`: UTC with milliseconds, always of that length."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second_text(seconds)}.{ms:03}Z"


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    """Returns an instant to the second. Remembered, since many records are of one second."""
    return instant(seconds * 1000).strftime("%Y-%m-%dT%H:%M:%S")
