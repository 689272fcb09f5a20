"""Callers who send slowly, the ways in which their authority ends meanwhile, and valid bodies of what they ask for.

One row per way of ending and one per operation that is not in `BODIES` of the callers' matrix: an operation of the
OpenAPI document that takes a body and has no row fails the test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from admin.signing_keys import rotate_signing_key
from admin.tenants import erase_tenant, suspend_tenant
from admin.tokens import end_token
from admin.users import change_password, disable_user, reset_password
from auth.callers import Callers
from auth.passwords import hash_password
from auth.principal import Person
from auth.signing_keys import SigningKeys
from auth.tokens import Tokens
from db.reach import EVERY_TENANT
from db.tables import User
from db.tenants import find_tenant
from tests.acceptance.callers import BODIES, EXPECTED, PASSWORD
from tests.support.site import ACTOR
from values.ids import uuid7
from values.subjects import Subject

BOUNDARY = "last-byte"
JSON, MULTIPART = "application/json", f"multipart/form-data; boundary={BOUNDARY}"
FILE = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="m.onnx"\r\n\r\nx\r\n--{BOUNDARY}--\r\n'
).encode()
#: Operations whose body is no JSON: the bytes and their content type.
OTHER_BODIES = {"POST /admin/models/{name}/versions": (FILE, MULTIPART)}
#: Operations with a body that no person's role opens: predictions, tokens, one's own password.
NOT_BY_ROLE = {
    "POST /v1/models/{model}/predict",
    "POST /v1/models/{model}/predict/batch",
    "POST /predict",
    "POST /batch_predict",
    "POST /auth/token",
    "POST /auth/revoke",
    "POST /auth/password",
}


@dataclass(frozen=True)
class Caller:
    """A person by a token; `principal` is the caller as a request's head finds them."""

    kind: str
    tenant: str | None
    raw_token: str
    principal: Person


#: What ends a caller's authority, and whose: by the kinds of `KINDS`.
KINDS = ("admin", "tenant's admin")
ENDINGS = {
    "disabled": (KINDS, lambda site, who: disable_user(site.database, actor=ACTOR, user_id=who.principal.user_id)),
    "reset": (KINDS, lambda site, who: reset_password(site.database, actor=ACTOR, user_id=who.principal.user_id)),
    "password changed": (KINDS, lambda site, who: change_password(
        site.database, actor=who.principal, password="other plain words for it")),
    "token revoked": (KINDS, lambda site, who: end_token(
        site.database, subject=who.principal.subject, token_id=who.principal.token_id, expires_at=who.principal.expires_at)),
    "tenant suspended": (KINDS[1:], lambda site, who: suspend_tenant(site.database, actor=ACTOR, name=who.tenant)),
    "tenant erased": (KINDS[1:], lambda site, who: erase_tenant(site.database, actor=ACTOR, name=who.tenant)),
    "signing key retired": (KINDS, lambda site, _: rotate_signing_key(
        site.database, site.keyring, actor=ACTOR, overlap=timedelta(0))),
}  # fmt: skip


class People:
    """Makes callers at a site, each new; their password is `PASSWORD`, whose digest is made once."""

    def __init__(self, site) -> None:
        self._site = site
        self._digest = hash_password(PASSWORD)

    def make(self, kind: str) -> Caller:
        site, tenant = self._site, None if kind == "admin" else self._site.tenant(f"t{uuid7()}")
        with site.database.transaction(EVERY_TENANT) as session:
            of = tenant and find_tenant(session, tenant, tenant_id=EVERY_TENANT)
            user = User(id=uuid7(), email=f"{uuid7()}@example.com", role="admin", status="active", tenant_id=of and of.id,
                        password_digest=self._digest, must_change_password=False, generation=1,
                        created_at=datetime.now(UTC))  # fmt: skip
            session.add(user)
        tokens = Tokens(SigningKeys(site.database, site.keyring))
        subject = Subject.of_user(user.id)
        raw_token, _ = tokens.issue(subject=subject, credential="1", scope="admin", not_after=float("inf"))
        known = Callers(site.database, site.keyring, tokens, has_people=True).by_token(raw_token.encode())
        return Caller(kind, tenant, raw_token, known)


def operations(document, kind: str) -> list[str]:
    """The operations of the document that take a body and that this kind of person may do."""
    with_body = [f"{m.upper()} {p}" for p, item in document["paths"].items() for m in item if "requestBody" in item[m]]
    return [each for each in with_body if each not in NOT_BY_ROLE and EXPECTED[each][kind] not in (401, 403)]


def body_of(operation: str) -> tuple[bytes, str]:
    """A valid body, and its content type."""
    return OTHER_BODIES[operation] if operation in OTHER_BODIES else (json.dumps(BODIES[operation]).encode(), JSON)


def path_of(site, operation: str, who: Caller) -> str:
    """The operation's path, to things that exist and that the caller may change."""
    path = operation.partition(" ")[2]
    tenant = who.tenant or "acme"
    name = {"plans": "wide", "models": "iris"}.get(path.split("/")[2], tenant)
    with site.database.transaction(EVERY_TENANT) as session:
        other = User(id=uuid7(), email=f"{uuid7()}@example.com", role="auditor", status="active", password_digest="x",
                     must_change_password=False, generation=1, created_at=datetime.now(UTC))  # fmt: skip
        session.add(other)
    return path.format(name=name, alias="production", key_id=site.issue(tenant).key.id, user_id=other.id)
