"""Tokens for keys and for people (RFC 6749, RFC 7009), how to check them, and a person's own password."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from admin.changes import reading_by
from admin.tokens import end_token
from admin.users import change_password
from api.dependencies import admitted, known_caller
from api.http.body import hung_up
from api.http.form_body import read_form, takes_form
from api.http.json_body import Form, json_body, takes
from api.http.security import call_of, holder_of, parts_of
from api.oauth_errors import TokenRequestRefused
from auth.api_keys import PREFIX, MalformedKey, key_id_of
from auth.credentials import AmbiguousCredential, NotAuthenticated
from auth.principal import Partner, Person, Principal, Scope
from auth.tokens import InvalidToken
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import User
from quotas.allowances import REVOCATIONS, TOKENS
from serving.admission import Need
from serving.giving_up import unless_gone
from values.subjects import Subject

router = APIRouter(tags=["tokens"])

BUYS_A_TOKEN = Need(allowance=TOKENS, takes_place=True)

_TOKEN_FORM = {
    "grant_type": "client_credentials, or password for people",
    "client_id": "the key's id",
    "client_secret": "the key",
    "username": "the e-mail address",
    "password": "the password",
    "scope": "scopes of the key, with spaces between; all of them if not given",
}

#: Clients also send their credentials. They are not needed: holding the token is enough.
_REVOCATION_FORM = {
    "token": "the token",
    "token_type_hint": "not needed",
    "client_id": "not needed",
    "client_secret": "not needed",
}


@router.post("/auth/token", summary="Buy a token", openapi_extra=takes_form(_TOKEN_FORM, ["grant_type"]))
async def issue_token(request: Request) -> dict[str, Any]:
    """Issues a token of at most 15 minutes: for a key (`client_credentials`), whose limits it has, or a person."""
    form = await read_form(request, _TOKEN_FORM)
    _check_one_credential(request, form)
    grant = form.get("grant_type")
    if grant == "client_credentials":
        return await _for_key(request, form)
    if grant == "password" and parts_of(request).settings.password_login:
        return await _for_person(request, form)
    if grant is None:
        raise TokenRequestRefused("invalid_request", "grant_type is missing")
    raise TokenRequestRefused("unsupported_grant_type", "this grant_type is not served")


@router.get("/.well-known/jwks.json", summary="The keys that tokens are signed with")
async def publish_keys(request: Request) -> dict[str, Any]:
    """Shows a JWK Set (RFC 7517): with these keys anybody can check a token's signature."""
    return {"keys": parts_of(request).tokens.keys.published()}


@router.post(
    "/auth/revoke",
    summary="End a token",
    openapi_extra=takes_form(_REVOCATION_FORM, ["token"]),
)
async def revoke_token(request: Request) -> dict[str, Any]:
    """Ends a token before its time (RFC 7009). Its holder may do so; an invalid token gets the same answer."""
    form = await read_form(request, _REVOCATION_FORM)
    raw_token = form.get("token")
    if raw_token is None:
        raise TokenRequestRefused("invalid_request", "token is missing")
    if raw_token.startswith(PREFIX):
        raise TokenRequestRefused("unsupported_token_type", "an administrator revokes a key")
    parts = parts_of(request)
    try:
        claims = parts.tokens.verify(raw_token.encode(errors="replace"))
    except InvalidToken:
        return {}
    await parts.quotas.charge_allowance(REVOCATIONS, claims.subject)
    expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
    await run_in_threadpool(
        end_token, parts.database, subject=claims.subject, token_id=claims.token_id, expires_at=expires_at
    )
    return {}


class PasswordChange(Form):
    current_password: str
    new_password: str


@router.post("/auth/password", summary="Change your password", openapi_extra=takes(PasswordChange), status_code=204)
async def change_own_password(
    request: Request,
    caller: Annotated[Principal, known_caller()],
    body: Annotated[PasswordChange, json_body(PasswordChange)],
) -> Response:
    """Sets the password that you choose, of at least 15 characters; all your tokens end."""
    if not isinstance(caller, Person):
        raise NotAuthenticated(was_presented=False)
    parts = parts_of(request)
    await run_in_threadpool(_confirm, parts.database, caller)
    await _sign_in(request, caller.email, body.current_password)
    await run_in_threadpool(change_password, parts.database, actor=caller, password=body.new_password)
    return Response(status_code=204)


def _confirm(database: Database, caller: Person) -> None:
    """Raises `NotAuthenticated` if the caller lost their rights while they sent the passwords."""
    with reading_by(database, caller, EVERY_TENANT):
        return


async def _for_key(request: Request, form: dict[str, str]) -> dict[str, Any]:
    client_id, secret = _client(request, form)
    raw_key = secret.encode(errors="replace")
    try:
        is_its_own = key_id_of(raw_key) == client_id
    except MalformedKey:
        is_its_own = False
    if not is_its_own:
        raise NotAuthenticated(was_presented=True)
    partner = await holder_of(request, raw_key, is_key=True)
    if not isinstance(partner, Partner):
        raise NotAuthenticated(was_presented=True)
    async with admitted(request, partner, BUYS_A_TOKEN):
        asked = form.get("scope")
        scopes = partner.scopes if asked is None else _scopes(asked, partner)
        return _answer(
            request,
            subject=partner.subject,
            scope=" ".join(sorted(scopes)),
            credential=partner.credential,
            not_after=partner.valid_until,
        )


async def _for_person(request: Request, form: dict[str, str]) -> dict[str, Any]:
    if "username" not in form or "password" not in form:
        raise TokenRequestRefused("invalid_request", "username and password are needed")
    user = await _sign_in(request, form["username"], form["password"])
    return _answer(
        request,
        subject=Subject.of_user(user.id),
        scope=user.role,
        credential=str(user.generation),
        not_after=float("inf"),
    )


async def _sign_in(request: Request, email: str, password: str) -> User:
    """Signs a person in, and returns them. A caller that hangs up leaves the queue."""
    attempt = parts_of(request).sign_ins.sign_in(email, password, call_of(request).address)
    return await unless_gone(hung_up(request), attempt)


def _answer(request: Request, **claims: Any) -> dict[str, Any]:
    try:
        token, seconds = parts_of(request).tokens.issue(**claims)
    except InvalidToken:
        # The credential that buys the token ends within a second.
        raise NotAuthenticated(was_presented=True) from None
    return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": claims["scope"]}


def _scopes(asked: str, partner: Partner) -> frozenset[Scope]:
    known = {str(scope): scope for scope in partner.scopes}
    names = asked.split()
    if not names or not known.keys() >= set(names):
        raise TokenRequestRefused("invalid_scope", "scope may only name scopes that the key has")
    return frozenset(known[name] for name in names)


def _check_one_credential(request: Request, form: dict[str, str]) -> None:
    """Refuses several credentials, in headers or form: a proxy in front may have checked another one than we would."""
    in_head = [name for name, _ in request.scope["headers"] if name in {b"authorization", b"x-api-key"}]
    in_form = [name for name in ("client_secret", "password") if name in form]
    if len(in_head) + len(in_form) > 1:
        raise AmbiguousCredential


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """The client's id and secret, from the form or from HTTP Basic (RFC 6749, section 2.3.1)."""
    basics = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if not basics:
        if "client_id" not in form or "client_secret" not in form:
            raise TokenRequestRefused("invalid_request", "client_id and client_secret are needed")
        return form["client_id"], form["client_secret"]
    scheme, _, encoded = basics[0].partition(b" ")
    try:
        id_, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated(was_presented=True) from None
    if scheme.lower() != b"basic" or not colon:
        raise NotAuthenticated(was_presented=True)
    client_id = unquote_plus(id_)
    if form.get("client_id", client_id) != client_id:
        raise AmbiguousCredential
    return client_id, unquote_plus(secret)
