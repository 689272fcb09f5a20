"""Changes to API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from ipaddress import ip_network
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NotFound, WrongState, checked_name
from admin.limits import set_limits
from admin.tenants import named_tenant
from auth import api_keys
from auth.keyring import Keyring
from auth.principal import Scope
from db.changes import announce
from db.database import Database
from db.events import record_event
from db.keys import find_key
from db.tables import Key, KeySecret, Tenant

MAX_LABEL = 200


class Unbounded(Enum):
    """What clears a beginning or an end: a key without it."""

    NONE = "none"


class KeyTerms(NamedTuple):
    """What a key may do. None means as it is; for a new key: all models, any address, no end, at once.

    An empty list clears models, addresses or limits; `Unbounded.NONE` clears a beginning or an end.
    """

    label: str | None = None
    scopes: Sequence[str] | None = None
    requests: Sequence[str] | None = None
    rows: Sequence[str] | None = None
    models: Sequence[str] | None = None
    cidrs: Sequence[str] | None = None
    not_before: datetime | Unbounded | None = None
    expires_at: datetime | Unbounded | None = None


class IssuedKey(NamedTuple):
    """A key with its secret, which is nowhere else."""

    key: Key
    tenant: Tenant
    raw_key: str


def issue_key(database: Database, keyring: Keyring, *, actor: str, tenant: str, terms: KeyTerms) -> IssuedKey:
    """Makes a key for a tenant. Raises `NotFound` or `InvalidValue`."""
    raw_key = api_keys.mint()
    with database.transaction() as session:
        holder = named_tenant(session, tenant)
        if holder.status == "erased":
            raise WrongState(f"the tenant {tenant} is erased")
        now = datetime.now(UTC)
        key = Key(
            id=api_keys.key_id_of(raw_key.encode()),
            tenant_id=holder.id,
            label="",
            scopes=[Scope.PREDICT],
            created_at=now,
        )
        changed = _apply(key, terms)
        session.add(key)
        session.flush()
        changed |= set_limits(session, "key", key.id, requests=terms.requests, rows=terms.rows)
        _add_secret(session, keyring, key.id, raw_key, now)
        _announce(session, actor, "key.issue", key, changed)
    return IssuedKey(key, holder, raw_key)


def set_key(database: Database, *, actor: str, key_id: str, terms: KeyTerms) -> Key:
    """Changes what a key may do; what is None stays as it is. Raises `NotFound`, `WrongState` or `InvalidValue`."""
    with database.transaction() as session:
        key = _living_key(session, key_id)
        changed = _apply(key, terms)
        changed |= set_limits(session, "key", key.id, requests=terms.requests, rows=terms.rows)
        _announce(session, actor, "key.set", key, changed)
    return key


def rotate_key(database: Database, keyring: Keyring, *, actor: str, key_id: str, overlap: timedelta) -> IssuedKey:
    """Gives a key a new secret; those before it work for `overlap` more. Raises `NotFound` or `WrongState`."""
    with database.transaction() as session:
        key = _living_key(session, key_id)
        raw_key = api_keys.mint(key.id)
        now = datetime.now(UTC)
        for secret in session.scalars(select(KeySecret).where(KeySecret.key_id == key_id)):
            end = now + overlap
            secret.expires_at = end if secret.expires_at is None else min(secret.expires_at, end)
        _add_secret(session, keyring, key_id, raw_key, now)
        _announce(session, actor, "key.rotate", key, {"overlap_seconds": int(overlap.total_seconds())})
        tenant = session.scalars(select(Tenant).where(Tenant.id == key.tenant_id)).one()
    return IssuedKey(key, tenant, raw_key)


def revoke_key(database: Database, *, actor: str, key_id: str) -> Key:
    """Ends a key for good. Raises `NotFound` or `WrongState`."""
    with database.transaction() as session:
        key = _living_key(session, key_id)
        key.revoked_at = datetime.now(UTC)
        _announce(session, actor, "key.revoke", key, {})
    return key


def _apply(key: Key, terms: KeyTerms) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if terms.label is not None:
        if len(terms.label) > MAX_LABEL:
            raise InvalidValue(f"a label has at most {MAX_LABEL} characters")
        key.label = changed["label"] = terms.label
    if terms.scopes is not None:
        key.scopes = changed["scopes"] = _scopes(terms.scopes)
    if terms.models is not None:
        key.models = changed["models"] = sorted({checked_name(model) for model in terms.models}) or None
    if terms.cidrs is not None:
        key.cidrs = changed["cidrs"] = [_cidr(cidr) for cidr in terms.cidrs] or None
    if terms.not_before is not None:
        key.not_before = _end(terms.not_before)
        changed["not_before"] = str(key.not_before)
    if terms.expires_at is not None:
        key.expires_at = _end(terms.expires_at)
        changed["expires_at"] = str(key.expires_at)
    return changed


def _end(instant: datetime | Unbounded) -> datetime | None:
    return None if isinstance(instant, Unbounded) else instant


def _scopes(scopes: Sequence[str]) -> list[str]:
    unknown = set(scopes) - set(Scope)
    if unknown or not scopes:
        raise InvalidValue(f"a scope is one of {', '.join(Scope)}")
    return sorted(set(scopes))


def _cidr(cidr: str) -> str:
    try:
        return str(ip_network(cidr))
    except ValueError:
        raise InvalidValue(f"{cidr} is not an address range such as 203.0.113.0/24") from None


def _add_secret(session: Session, keyring: Keyring, key_id: str, raw_key: str, now: datetime) -> None:
    pepper_id, digest = keyring.newest_digest(raw_key)
    session.add(KeySecret(digest=digest, key_id=key_id, pepper_id=pepper_id, created_at=now))


def _living_key(session: Session, key_id: str) -> Key:
    found = find_key(session, key_id)
    if found is None:
        raise NotFound(f"there is no key {key_id}")
    if found[0].revoked_at is not None:
        raise WrongState(f"the key {key_id} is revoked")
    return found[0]


def _announce(session: Session, actor: str, verb: str, key: Key, changed: dict[str, Any]) -> None:
    record_event(session, actor=actor, verb=verb, object_id=key.id, tenant_id=key.tenant_id, **changed)
    announce(session, "key", key.id)
