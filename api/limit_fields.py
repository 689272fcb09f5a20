"""Limits as HTTP fields: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11)."""

from __future__ import annotations

from collections.abc import Sequence

from quotas.accounts import PolicyState


def limit_fields(states: Sequence[PolicyState]) -> list[tuple[bytes, bytes]]:
    """Both fields, in the order of `states`: the policy that leaves the least comes first.

    A calendar policy has no `w`: its periods differ in length. A name needs no escaping in either field's strings: it
    has letters, digits, dots, dashes, underscores and one `@`.
    """
    if not states:
        return []
    policies, limits = [], []
    for name, _, amount, window_seconds, _, _, _, _, left, grows_in_seconds in states:
        policies.append(f'"{name}";q={amount}' if window_seconds is None else f'"{name}";q={amount};w={window_seconds}')
        limits.append(f'"{name}";r={left};t={grows_in_seconds}')
    return [
        (b"ratelimit-policy", ", ".join(policies).encode("ascii")),
        (b"ratelimit", ", ".join(limits).encode("ascii")),
    ]
