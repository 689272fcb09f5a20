"""Limits as HTTP fields: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11)."""

from __future__ import annotations

from collections.abc import Sequence

from program.parts import Parts
from quotas.accounts import PolicyState
from serving.call import Call

Fields = list[tuple[bytes, bytes]]


def limits_shown(parts: Parts, call: Call) -> Fields:
    """The fields of an answer to this call; none for a call that spends no quota."""
    return limit_fields(parts.quotas.states(call.principal)) if call.shows_limits and call.principal else []


def limit_fields(states: Sequence[PolicyState]) -> Fields:
    """Both fields, in the order of `states`: the policy that leaves the least comes first."""
    if not states:
        return []
    policies, limits = [], []
    for name, _, amount, window_seconds, left, grows_in_seconds in states:
        policies.append(f'"{name}";q={amount};w={window_seconds}')
        limits.append(f'"{name}";r={left};t={grows_in_seconds}')
    return [
        (b"ratelimit-policy", ", ".join(policies).encode("ascii")),
        (b"ratelimit", ", ".join(limits).encode("ascii")),
    ]
