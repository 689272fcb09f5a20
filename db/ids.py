"""UUIDv7 (RFC 9562, section 5.7): ids that sort by the millisecond in which they were made and cannot be guessed."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def uuid7(at_ms: int | None = None) -> str:
    """A UUIDv7 in canonical text: 48 bits of time in ms, and 74 bits from the system's random source."""
    at_ms = now_ms() if at_ms is None else at_ms
    random = os.urandom(10).hex()
    variant = "89ab"[int(random[3], 16) & 3]
    high = f"{at_ms:012x}"
    return f"{high[:8]}-{high[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"


def instant_of(request_id: str) -> datetime:
    """The millisecond that a UUIDv7 was made in."""
    return instant(int(request_id.replace("-", "")[:12], 16))


def instant(at_ms: int) -> datetime:
    """An aware UTC instant from milliseconds since 1970, exactly."""
    seconds, ms = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)
