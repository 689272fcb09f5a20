"""A request's body as bytes: of a type that is served, and bounded while it arrives."""

from __future__ import annotations

from fastapi import Request

from serving.predictor import ClientGone

JSON = b"application/json"


class UnsupportedMediaType(Exception):
    """The body is of a type that the route does not take, or is encoded."""


class BodyTooLarge(Exception):
    """The body is longer than `MAX_BODY_BYTES`."""


async def read_body(request: Request, max_bytes: int, media_type: bytes = JSON) -> bytes:
    """The whole body. Raises `UnsupportedMediaType`, `BodyTooLarge` (before it is all there) or `ClientGone`."""
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
    """Raises `UnsupportedMediaType`; returns the declared length, if there is one."""
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
    media, _, parameters = content_type.lower().partition(b";")
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    return media.strip() == media_type and charset in {b"", b"charset=utf-8"}


async def hung_up(request: Request) -> None:
    """Returns when the caller is gone; what is left of the body is thrown away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
