"""Limits as people write them: `"100/minute"`, `"5/30 seconds"`."""

from __future__ import annotations

import re

from db.policies import Level, Policy, Unit

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}
MAX_AMOUNT = 10**12
MAX_WINDOW_SECONDS = 366 * 86_400
# `limits.parse` accepts "0/minute", "100/0 minute" and the first of two joined by ";": a limit must not be a guess.
_LIMIT = re.compile(r"([1-9][0-9]{0,12})/(?:([1-9][0-9]{0,8}) )?(second|minute|hour|day|month)s?")


class InvalidLimit(ValueError):
    """The text is not a limit."""


def parse_limit(text: str, level: Level, unit: Unit) -> Policy:
    """Returns the policy that `text` writes: a positive number, and a window of 1 second to 366 days.

    Raises `InvalidLimit`.
    """
    match = _LIMIT.fullmatch(text.strip())
    if match is None:
        raise InvalidLimit('a limit is written "100/minute" or "5/30 seconds"')
    amount, window = int(match[1]), int(match[2] or 1) * SECONDS[match[3]]
    if amount > MAX_AMOUNT or window > MAX_WINDOW_SECONDS:
        raise InvalidLimit(f"a limit allows at most {MAX_AMOUNT} in a window of at most 366 days")
    return Policy(level=level, unit=unit, amount=amount, window_seconds=window)


def parse_limits(texts: list[str], level: Level, unit: Unit) -> list[Policy]:
    """Returns the policies of several texts; two may not share a window, since they would share a name.

    Raises `InvalidLimit`.
    """
    policies = [parse_limit(text, level, unit) for text in texts]
    if len({policy.window_seconds for policy in policies}) < len(policies):
        raise InvalidLimit(f"two limits on {unit} have the same window")
    return policies
