"""The FastAPI security schemes, and `current_principal`, which is what OpenAPI shows and what runs."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection

from auth.api_keys import PREFIX, MalformedKey
from auth.directory import Directory
from auth.principal import Principal
from auth.tokens import InvalidToken

_KEY_PREFIX = PREFIX.encode()


class NotAuthenticated(Exception):
    """No credential, or one that opens nothing now. Why is nobody's business; `was_presented` is for the throttle."""

    def __init__(self, *, was_presented: bool) -> None:
        super().__init__()
        self.was_presented = was_presented


class AmbiguousCredential(Exception):
    """More than one credential was presented: which of them decides must not depend on who reads first."""


class KeyHeader(APIKeyHeader):
    """`X-API-Key: ady_...`, as often as it was sent."""

    async def __call__(self, request: HTTPConnection) -> Any:
        return [value for name, value in request.scope["headers"] if name == b"x-api-key"]


class BearerHeader(HTTPBearer):
    """`Authorization: Bearer ...`, as often as it was sent."""

    async def __call__(self, request: HTTPConnection) -> Any:
        return [value for name, value in request.scope["headers"] if name == b"authorization"]


KEY_HEADER = KeyHeader(name="X-API-Key", scheme_name="ApiKey", description="A key: `ady_` and 50 characters.")
BEARER_HEADER = BearerHeader(scheme_name="Bearer", description="The same key, or a token of `/auth/token` (RFC 6750).")


async def current_principal(
    request: Request,
    keys: Annotated[list[bytes], Security(KEY_HEADER)],
    bearers: Annotated[list[bytes], Security(BEARER_HEADER)],
) -> Principal:
    """The caller. Raises `NotAuthenticated`, `AmbiguousCredential` or `DirectoryUnavailable`."""
    if len(keys) + len(bearers) > 1:
        raise AmbiguousCredential
    if keys:
        return await holder_of(request, keys[0].strip(), is_key=True)
    if not bearers:
        raise NotAuthenticated(was_presented=False)
    scheme, _, credential = bearers[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise NotAuthenticated(was_presented=True)
    credential = credential.strip()
    return await holder_of(request, credential, is_key=credential.startswith(_KEY_PREFIX))


async def holder_of(request: Request, credential: bytes, *, is_key: bool) -> Principal:
    """Whose key or token it is, if it may be used now and from here. Raises as `current_principal` does."""
    directory: Directory = request.scope["app"].state.directory
    try:
        principal = await (directory.find_key(credential) if is_key else directory.find_token(credential))
    except (MalformedKey, InvalidToken):
        raise NotAuthenticated(was_presented=True) from None
    client = request.scope["client"]
    if (
        principal is None
        or not principal.may_call_at(time.time())
        or not principal.may_call_from(client[0] if client else "")
    ):
        raise NotAuthenticated(was_presented=True)
    directory.note_use(principal)
    return principal
