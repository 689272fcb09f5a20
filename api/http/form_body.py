"""Reads a form as OAuth 2.0 wants it (RFC 6749, appendix B): no field twice, and no unknown field."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from api.http.body import in_time, read_body
from api.http.security import parts_of
from api.oauth_errors import TokenRequestRefused

MAX_BYTES = 16 << 10
MAX_FIELDS = 10
TYPE = b"application/x-www-form-urlencoded"


async def read_form(request: Request, known: dict[str, str]) -> dict[str, str]:
    """The form's fields. Raises `TokenRequestRefused` if the body is no form, or has an unknown field or one twice."""
    settings = parts_of(request).settings
    reading = read_body(request, min(MAX_BYTES, settings.max_body_bytes), media_type=TYPE)
    body = await in_time(request, reading)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise TokenRequestRefused("invalid_request", "the body is not a form") from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or not fields.keys() <= known.keys():
        raise TokenRequestRefused("invalid_request", "the form has an unknown field, or one twice")
    return fields


def takes_form(fields: dict[str, str], required: list[str]) -> dict[str, Any]:
    """The OpenAPI description of a route with such a body; `fields` maps each name to its description."""
    properties = {name: {"type": "string", "description": words} for name, words in fields.items()}
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {TYPE.decode(): {"schema": schema}}}}
