"""UUIDv7 (RFC 9562, section 5.7): ids that sort by the millisecond in which they were made and cannot be guessed."""

from __future__ import annotations

import os
import re
from datetime import datetime
from threading import Lock

from values.instants import instant, now_ms


class RandomBytes:
    """The system's random bytes, drawn in advance for a few hundred calls of `take`.

    Each `os.urandom` hands the interpreter lock to any thread that waits for it, which costs more than the bytes.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._drawn, self._next = b"", 0
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> bytes:
        """Returns `count` bytes (at most 4096) that no other call returns."""
        with self._lock:
            if self._next + count > len(self._drawn):
                self._drawn, self._next = os.urandom(4096), 0
            self._next += count
            return self._drawn[self._next - count : self._next]

    def _forget(self) -> None:
        """Drops the bytes that were drawn: a forked process would hand out the same ones as its parent."""
        # The parent's lock may be held by a thread that does not exist here.
        self._lock = Lock()
        self._drawn, self._next = b"", 0


_random = RandomBytes()


def random_bytes(count: int) -> bytes:
    """Returns bytes from the system's random source."""
    return _random.take(count)


def uuid7(at_ms: int | None = None) -> str:
    """Returns a UUIDv7 in canonical text: 48 bits of time in ms, and 74 bits from the system's random source."""
    at_ms = now_ms() if at_ms is None else at_ms
    random = _random.take(10).hex()
    variant = "89ab"[int(random[3], 16) & 3]
    high = f"{at_ms:012x}"
    return f"{high[:8]}-{high[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"


_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LAST_MS = 253_402_300_799_999  # the end of the year 9999


def is_uuid7(text: str) -> bool:
    """Whether the text is a UUIDv7, of a year that an instant can have."""
    match = _UUID7.fullmatch(text)
    return match is not None and int(match[1] + match[2], 16) <= _LAST_MS


def instant_of(request_id: str) -> datetime:
    """Returns the millisecond in which a UUIDv7 was made."""
    return instant(int(request_id.replace("-", "")[:12], 16))
