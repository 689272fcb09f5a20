"""Reads a form of files and fields (RFC 7578): after the caller is known, and bounded while it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from admin.facts import InvalidValue
from api.http.body import BodyTooLarge, UnsupportedMediaType, in_time
from serving import problems
from serving.facts import ClientGone, TransportRefusal

MAX_FIELD_BYTES = 1 << 20


class MalformedForm(TransportRefusal):
    """The body is not the multipart form that its content type says."""

    problem = problems.MALFORMED_REQUEST


class File(NamedTuple):
    """A file as it was sent, by the name that the sender gave it."""

    name: str
    content: bytes


async def read_multipart(
    request: Request, *, files: Mapping[str, str], fields: Mapping[str, str], max_bytes: int
) -> tuple[dict[str, File], dict[str, str]]:
    """The form's files and fields by name; `files` and `fields` hold the known names.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `MalformedForm`, `BodyTooSlow`, `ClientGone`, or `InvalidValue` for
    an unknown name or one that is given twice.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType
    parser = MultiPartParser(
        Headers(raw=request.scope["headers"]),
        _bounded(request, max_bytes),
        max_files=len(files),
        max_fields=len(fields),
        max_part_size=MAX_FIELD_BYTES,
    )
    return await in_time(request, _parsed(parser, files, fields))


async def _parsed(
    parser: MultiPartParser, files: Mapping[str, str], fields: Mapping[str, str]
) -> tuple[dict[str, File], dict[str, str]]:
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError, LookupError):
        raise MalformedForm from None
    # Closed before the caller is looked at again, who may be refused then.
    try:
        return await _sorted(form, files, fields)
    finally:
        await form.close()


async def _sorted(
    form: FormData, files: Mapping[str, str], fields: Mapping[str, str]
) -> tuple[dict[str, File], dict[str, str]]:
    given = form.multi_items()
    if len({name for name, _ in given}) < len(given):
        raise InvalidValue("the form has a field twice")
    found: dict[str, File] = {}
    texts: dict[str, str] = {}
    for name, value in given:
        if isinstance(value, UploadFile) and name in files:
            found[name] = File(value.filename or "", await value.read())
        elif isinstance(value, str) and name in fields:
            texts[name] = value
        else:
            raise InvalidValue(f"the form takes the files {', '.join(files)} and the fields {', '.join(fields)}")
    return found, texts


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise BodyTooLarge
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def takes_multipart(files: Mapping[str, str], fields: Mapping[str, str], required: list[str]) -> dict[str, Any]:
    """The OpenAPI description of a route with such a body; `files` and `fields` map names to descriptions."""
    properties: dict[str, Any] = {
        name: {"type": "string", "format": "binary", "description": words} for name, words in files.items()
    }
    properties |= {name: {"type": "string", "description": words} for name, words in fields.items()}
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
