"""Time zones by their IANA names, which tenants' calendar limits follow."""

from __future__ import annotations

import zoneinfo
from functools import cache

RULE = "is an IANA name such as Europe/Berlin, Asia/Kolkata or UTC"


@cache
def _names() -> frozenset[str]:
    # Not whatever `ZoneInfo` opens, which on some machines takes names in any case, and the leap seconds of `right/`.
    # `localtime` is another zone on each machine, and `Factory` is none.
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}


def is_time_zone(name: str) -> bool:
    """Whether the name is a time zone's, in its right spelling."""
    return name in _names()
