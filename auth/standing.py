"""A caller's standing: whether the caller may still do what the caller asked for a while ago."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from auth.credentials import NotAuthenticated
from auth.keyring import TOKEN_SIGNING
from auth.principal import Partner, Person, Principal
from db.keys import hold_key, secret_end
from db.revoked_tokens import is_revoked
from db.tenants import hold_tenant
from db.users import hold_user
from db.wrapped_secrets import retirement_of


def confirm(session: Session, principal: Principal) -> None:
    """Checks in this transaction that the caller still stands, and holds the caller's rows until it ends.

    A sender may take as long as they like for a body: the caller that the head of the request named may have been
    disabled meanwhile, and other processes' memory of callers may be a second old. A change that ends a caller's
    authority waits for the transactions that hold the caller; those that begin later are refused.

    Raises `NotAuthenticated`.
    """
    if not (principal.may_call_at(time.time()) and _stands(session, principal)):
        raise NotAuthenticated(was_presented=True)


def _stands(session: Session, principal: Principal) -> bool:
    if not isinstance(principal, Partner | Person):
        return False
    # The tenant first: erasing one changes the tenant's row first too, and two orders could deadlock.
    if principal.tenant_id is not None and hold_tenant(session, tenant_id=principal.tenant_id) != "active":
        return False
    stands = _person_stands(session, principal) if isinstance(principal, Person) else _key_stands(session, principal)
    # The token last: `end_token` holds the same row, so that this finds the token ended or makes its end wait.
    return stands and _token_stands(session, principal)


def _person_stands(session: Session, person: Person) -> bool:
    found = hold_user(session, person.user_id, tenant_id=person.reach)
    return found is not None and (found.status, found.generation) == ("active", person.generation)


def _key_stands(session: Session, partner: Partner) -> bool:
    key = hold_key(session, partner.key_id, tenant_id=partner.tenant_id)
    secret = secret_end(session, partner.credential, tenant_id=partner.tenant_id)
    if key is None or secret is None or key.revoked_at is not None:
        return False
    now = datetime.now(UTC)
    ends = [at for at in (key.expires_at, *secret) if at is not None]
    return (key.not_before is None or key.not_before <= now) and all(now < at for at in ends)


def _token_stands(session: Session, principal: Principal) -> bool:
    if principal.token_id is None or principal.signing_key is None:
        return True
    retirement = retirement_of(session, TOKEN_SIGNING, principal.signing_key)
    if retirement is None or (retirement[0] is not None and retirement[0] <= datetime.now(UTC)):
        return False
    return not is_revoked(session, principal.token_id)
