"""The FastAPI security schemes, and `current_principal`: OpenAPI shows it, and requests run it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection

from auth.api_keys import PREFIX
from auth.credentials import AmbiguousCredential, NotAuthenticated, Presented
from auth.principal import Principal
from program.parts import Parts
from serving.call import Call

_KEY_PREFIX = PREFIX.encode()


class KeyHeader(APIKeyHeader):
    """`X-API-Key: ady_...`: every value that was sent."""

    async def __call__(self, request: HTTPConnection) -> Any:
        return self.direct(request)

    def direct(self, request: HTTPConnection) -> list[bytes]:
        """The same at once, for direct routes."""
        return [value for name, value in request.scope["headers"] if name == b"x-api-key"]


class BearerHeader(HTTPBearer):
    """`Authorization: Bearer ...`: every value that was sent."""

    async def __call__(self, request: HTTPConnection) -> Any:
        return self.direct(request)

    def direct(self, request: HTTPConnection) -> list[bytes]:
        """The same at once, for direct routes."""
        return [value for name, value in request.scope["headers"] if name == b"authorization"]


KEY_HEADER = KeyHeader(name="X-API-Key", scheme_name="ApiKey", description="A key: `ady_` and 50 characters.")
BEARER_HEADER = BearerHeader(scheme_name="Bearer", description="The same key, or a token of `/auth/token` (RFC 6750).")


def parts_of(request: Request) -> Parts:
    """The program's parts, made once in `create_app`."""
    parts: Parts = request.scope["adyton.parts"]
    return parts


def call_of(request: Request) -> Call:
    """The middleware's notes on this request."""
    call: Call = request.scope["adyton.call"]
    return call


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
    """The holder of a key or token that may be used now and from this address. Raises like `current_principal`."""
    call = call_of(request)
    call.presented = Presented(credential, is_key, call.address)
    return await parts_of(request).credentials.holder(call.presented)
