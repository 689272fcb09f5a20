"""Limits as people write them: `"100/minute"`, `"5/30 seconds"`, `"10000/calendar-month"`, `"iris: 100/minute"`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from db.policies import Level, Period, Policy, Unit
from values import names

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000}
MAX_AMOUNT = 10**12
MAX_WINDOW_SECONDS = 366 * 86_400
#: An owner's limits on one unit, in all and for one model or none: a caller is shown those that a request is charged to
#: in the head of its answer, which proxies bound.
MAX_LIMITS = 100
MAX_FOR_ONE = 10
# `limits.parse` accepts "0/minute", "100/0 minute" and the first of two joined by ";": a limit must not be a guess.
_WINDOW = r"calendar-(day|month)|(?:([1-9][0-9]{0,8}) )?(second|minute|hour|day|month)s?"
_LIMIT = re.compile(rf"(?:([^:]*): ?)?([1-9][0-9]{{0,12}})/(?:{_WINDOW})")


class InvalidLimit(ValueError):
    """The text is not a limit."""


def parse_limit(text: str, level: Level, unit: Unit) -> Policy:
    """Returns the policy that `text` writes: a positive number, in a window of 1 second to 366 days or a period.

    Raises `InvalidLimit`.
    """
    text = text.strip()
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise InvalidLimit('a limit is written "100/minute", "5/30 seconds", "9/calendar-month" or "MODEL: 100/minute"')
    model, amount, calendar, count, window = match.groups()
    if model is not None and not names.is_name(model):
        raise InvalidLimit(f"the name before a limit's colon is a model's: it {names.RULE}, as in \"iris: 100/minute\"")
    period: Period | None = None if calendar is None else "month" if calendar == "month" else "day"
    seconds = None if period else int(count or 1) * SECONDS[window]
    if int(amount) > MAX_AMOUNT or (seconds or 0) > MAX_WINDOW_SECONDS:
        raise InvalidLimit(f"a limit allows at most {MAX_AMOUNT} in a window of at most 366 days")
    return Policy(level, unit, int(amount), seconds, period, model, text)


def parse_limits(texts: Sequence[str], level: Level, unit: Unit) -> list[Policy]:
    """Returns the policies of several texts. Two that would share a name are refused: only one of them could count.

    Raises `InvalidLimit`.
    """
    if len(texts) > MAX_LIMITS:
        raise InvalidLimit(f"at most {MAX_LIMITS} limits on {unit}")
    policies: dict[str, Policy] = {}
    for text in texts:
        policy = parse_limit(text, level, unit)
        if other := policies.get(policy.name):
            raise InvalidLimit(
                f'"{other.text}" and "{policy.text}" limit {unit} in the same window'
                f"{f' of {policy.model}' if policy.model else ''}: keep one of them"
            )
        policies[policy.name] = policy
    most = Counter(policy.model for policy in policies.values()).most_common(1)
    if most and most[0][1] > MAX_FOR_ONE:
        raise InvalidLimit(f"at most {MAX_FOR_ONE} limits on {unit} for one model, and as many for all models")
    return list(policies.values())
