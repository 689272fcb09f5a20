"""Changes to what somebody may have changed meanwhile: `ETag` and `If-Match` (RFC 9110), or `revision` in the body."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request, Response

from api.http.refusals import PreconditionFailed
from db.database import ChangedMeanwhile

T = TypeVar("T")

_TAG = re.compile(rb'"([0-9]{1,18})"')


def change_at(request: Request, revision: int | None, change: Callable[[int | None], T]) -> T:
    """Makes a change at the revision that the caller looked at, if it says at which.

    Raises `PreconditionFailed` where `If-Match` names another one, `ChangedMeanwhile` where the body does.
    """
    tags = [value.strip() for name, value in request.scope["headers"] if name == b"if-match"]
    if not tags or tags == [b"*"]:
        return change(revision)
    match = _TAG.fullmatch(tags[0]) if len(tags) == 1 else None
    if match is None or revision not in (None, int(match[1])):
        raise PreconditionFailed
    try:
        return change(int(match[1]))
    except ChangedMeanwhile:
        raise PreconditionFailed from None


def expects_it(request: Request) -> bool:
    """Whether the caller says that there is such a thing already: `If-Match`, even with `*`, is false of none."""
    return any(name == b"if-match" for name, _ in request.scope["headers"])


def tagged(response: Response, shown: dict[str, Any]) -> dict[str, Any]:
    """The same, with its revision as the answer's `ETag`."""
    response.headers["ETag"] = f'"{shown["revision"]}"'
    return shown
