"""Durations as people write them: `90d`, `24h`, `15m`, `30s`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(r"([0-9]{1,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse(text: str) -> timedelta | None:
    """Returns the duration that a text writes; None for any other text."""
    match = _DURATION.fullmatch(text)
    return None if match is None else timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
