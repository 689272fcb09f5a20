"""Changes to an object that somebody may have changed meanwhile: `ETag` and `If-Match` (RFC 9110), or `revision`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from api.http.refusals import PreconditionFailed
from db.database import ChangedMeanwhile

#: The member of a body that names the revision which the caller looked at.
Revision = Annotated[int | None, Field(description="Refused with 409 unless the object is at this revision.")]

_TAG = re.compile(rb'"([0-9]{1,18})"')


@contextmanager
def at_revision(request: Request, revision: int | None = None) -> Iterator[int | None]:
    """Gives the revision at which the caller wants the change, or None; `revision` is the one that the body names.

    Raises `PreconditionFailed` if the object is at another revision than `If-Match` names, or the body names another
    one. If only the body names one, the change's own `ChangedMeanwhile` passes.
    """
    tags = [value.strip() for name, value in request.scope["headers"] if name == b"if-match"]
    if not tags or tags == [b"*"]:
        yield revision
        return
    match = _TAG.fullmatch(tags[0]) if len(tags) == 1 else None
    if match is None or revision not in (None, int(match[1])):
        raise PreconditionFailed
    try:
        yield int(match[1])
    except ChangedMeanwhile:
        raise PreconditionFailed from None


def has_if_match(request: Request) -> bool:
    """Whether the request has `If-Match`, which fails on an object that does not exist, even with `*`."""
    return any(name == b"if-match" for name, _ in request.scope["headers"])


def tagged(response: Response, shown: dict[str, Any]) -> dict[str, Any]:
    """Sets the object's revision as the answer's `ETag`; returns the object."""
    response.headers["ETag"] = f'"{shown["revision"]}"'
    return shown
