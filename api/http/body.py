"""Reads a request's body as bytes: checks its type, bounds its length while it arrives, and ends in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from api.http.security import call_of, parts_of
from serving import problems
from serving.facts import BodyTooSlow, ClientGone, TransportRefusal

T = TypeVar("T")

JSON = b"application/json"


class UnsupportedMediaType(TransportRefusal):
    """The body is of a type that the route does not take, or is encoded."""

    problem = problems.UNSUPPORTED_MEDIA_TYPE


class BodyTooLarge(TransportRefusal):
    """The body is longer than `MAX_BODY_BYTES`."""

    problem = problems.TOO_LARGE


async def in_time(request: Request, reading: Awaitable[T]) -> T:
    """Reads a body in time, for every route but predictions; returns the result of `reading`.

    A slow sender may have lost their rights meanwhile, so a known caller is checked again. Raises `BodyTooSlow`, or
    whatever `reading` or `look_again` raises.
    """
    try:
        async with asyncio.timeout(parts_of(request).settings.request_timeout_seconds):
            body = await reading
    except TimeoutError:
        raise BodyTooSlow from None
    await look_again(request)
    return body


async def look_again(request: Request) -> None:
    """Checks a known caller again, after a wait and before acting. Raises like `Admission.look_again`."""
    admission = call_of(request).admission
    if admission is not None:
        await admission.look_again()


async def read_body(request: Request, max_bytes: int, media_type: bytes = JSON) -> bytes:
    """The whole body. Raises `UnsupportedMediaType`, `BodyTooLarge` (before all of it has arrived) or `ClientGone`."""
    length = _check_headers(request.scope["headers"], media_type)
    if length is not None and length > max_bytes:
        raise BodyTooLarge
    chunks: list[bytes] = []
    received = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        received += len(chunk)
        if received > max_bytes:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def _check_headers(headers: list[tuple[bytes, bytes]], media_type: bytes) -> int | None:
    """Raises `UnsupportedMediaType`; returns the declared length, if any."""
    content_type, length = b"", None
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise UnsupportedMediaType
    if content_type != media_type and not _is_in_utf8(content_type, media_type):
        raise UnsupportedMediaType
    return length


def _is_in_utf8(content_type: bytes, media_type: bytes) -> bool:
    """Whether it is that media type, in UTF-8 if it names a charset; many clients call that `utf8`."""
    media, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    charsets = {part.replace(b" ", b"").replace(b'"', b"") for part in parameters}
    return media == media_type and charsets <= {b"", b"charset=utf-8", b"charset=utf8"}


async def skip_body(request: Request) -> None:
    """Throws away the body of a request that needs none. Raises `ClientGone`."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if not message.get("more_body", False):
            return


async def hung_up(request: Request) -> None:
    """Returns when the caller hangs up, or sends no more. Call it only after the whole body was read.

    After the body, the server has no other message to give.
    """
    await request.receive()
