"""Checks that a caller accepts JSON, which the routes answer with: `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from fastapi import Request

from serving import problems
from serving.facts import TransportRefusal

#: No real client lists more; of a longer list only the first ones count.
MAX_MEDIA_RANGES = 50


class NotAcceptable(TransportRefusal):
    """The caller accepts nothing that the route can answer."""

    problem = problems.NOT_ACCEPTABLE


def require_json(request: Request) -> None:
    """Raises `NotAcceptable` unless `Accept` allows JSON."""
    accepted = [value for name, value in request.scope["headers"] if name == b"accept"]
    if not accepted:
        return
    ranges = b",".join(accepted).lower().split(b",", MAX_MEDIA_RANGES)[:MAX_MEDIA_RANGES]
    if not any(map(_ranges_over_json, ranges)):
        raise NotAcceptable


def _ranges_over_json(part: bytes) -> bool:
    media, _, parameters = part.partition(b";")
    is_refused = parameters.replace(b" ", b"") in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return media.strip() in {b"*/*", b"application/*", b"application/json"} and not is_refused
