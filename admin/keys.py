"""Changes to API keys. `tenant_id` says whose keys whoever asks may touch: another tenant's do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from ipaddress import ip_network
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NotFound, WrongState, checked_name
from admin.limits import Limits, check_within_tenant, set_limits
from admin.revisions import revise
from admin.shown import shown_key
from admin.tenants import living_tenant
from audit.events import record_event
from auth import api_keys
from auth.keyring import Keyring
from auth.principal import Scope
from db.catalogue import models_of_tenant
from db.changes import announce
from db.database import Database
from db.keys import find_key
from db.reach import EVERY_TENANT, Reach
from db.tables import Key, KeySecret, Tenant

MAX_LABEL = 200
MAX_ENTRIES = 100
MAX_OVERLAP = timedelta(days=90)
#: Each is one more that may have been left somewhere.
MAX_LIVING_SECRETS = 5


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


def issue_key(
    database: Database, keyring: Keyring, *, actor: str, tenant: str, terms: KeyTerms, tenant_id: Reach
) -> IssuedKey:
    """Makes a key for a tenant. Raises `NotFound`, `WrongState` or `InvalidValue`."""
    raw_key = api_keys.mint()
    with database.transaction(tenant_id) as session:
        holder = living_tenant(session, tenant, tenant_id=tenant_id)
        now = datetime.now(UTC)
        key = Key(
            id=api_keys.key_id_of(raw_key.encode()),
            tenant_id=holder.id,
            label="",
            scopes=[Scope.PREDICT],
            created_at=now,
        )
        session.add(key)
        changed = _apply(session, key, holder, terms, tenant_id)
        _add_secret(session, keyring, key.id, raw_key, now)
        _announce(session, actor, "key.issue", key, changed)
    return IssuedKey(key, holder, raw_key)


def set_key(
    database: Database, *, actor: str, key_id: str, terms: KeyTerms, tenant_id: Reach,
    revision: int | None = None,
) -> Key:  # fmt: skip
    """Changes what a key may do; what is None stays as it is.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with database.transaction(tenant_id) as session:
        key, holder = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        _announce(session, actor, "key.set", key, _apply(session, key, holder, terms, tenant_id))
    return key


def rotate_key(
    database: Database, keyring: Keyring, *, actor: str, key_id: str, overlap: timedelta,
    tenant_id: Reach, revision: int | None = None,
) -> IssuedKey:  # fmt: skip
    """Gives a key a new secret; those before it work for `overlap` more.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    if overlap > MAX_OVERLAP:
        raise InvalidValue(f"an overlap is at most {MAX_OVERLAP.days} days")
    with database.transaction(tenant_id) as session:
        key, tenant = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        raw_key = api_keys.mint(key.id)
        now = datetime.now(UTC)
        _end_secrets(session, key_id, now, now + overlap)
        _add_secret(session, keyring, key_id, raw_key, now)
        _announce(session, actor, "key.rotate", key, {"overlap_seconds": int(overlap.total_seconds())})
    return IssuedKey(key, tenant, raw_key)


def revoke_key(database: Database, *, actor: str, key_id: str, tenant_id: Reach, revision: int | None = None) -> Key:
    """Ends a key for good. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    with database.transaction(tenant_id) as session:
        key, _ = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        key.revoked_at = datetime.now(UTC)
        _announce(session, actor, "key.revoke", key, {})
    return key


def describe_key(database: Database, key_id: str, *, tenant_id: Reach) -> dict[str, Any]:
    """The key as administrators see it. Raises `NotFound`."""
    with database.reading(tenant_id) as session:
        return shown_key(session, *_key(session, key_id, tenant_id))


def _apply(session: Session, key: Key, holder: Tenant, terms: KeyTerms, tenant_id: Reach) -> dict[str, Any]:
    """Gives the key its terms; within its tenant's own, where a tenant's admin gives them."""
    changed = _apply_own(key, terms)
    session.flush()
    limits = Limits(terms.requests, terms.rows)
    changed |= set_limits(session, "key", key.id, limits, tenant_id=holder.id)
    if tenant_id is not EVERY_TENANT:
        check_within_tenant(session, key, holder, changed)
        if missing := set(changed.get("models") or ()) - models_of_tenant(session, tenant_id=holder.id):
            raise InvalidValue(f"the tenant has no model {', '.join(sorted(missing))}")
    return changed


def _apply_own(key: Key, terms: KeyTerms) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if terms.label is not None:
        if len(terms.label) > MAX_LABEL or "\0" in terms.label:
            raise InvalidValue(f"a label has at most {MAX_LABEL} characters, and no NUL")
        # What people type there may name somebody, and events outlive the tenant.
        key.label, changed["label"] = terms.label, "set"
    if terms.scopes is not None:
        key.scopes = changed["scopes"] = _scopes(terms.scopes)
    if terms.models is not None:
        key.models = changed["models"] = sorted({checked_name(model) for model in _few(terms.models)}) or None
    if terms.cidrs is not None:
        key.cidrs = changed["cidrs"] = [_cidr(cidr) for cidr in _few(terms.cidrs)] or None
    if terms.not_before is not None:
        key.not_before = _end(terms.not_before)
        changed["not_before"] = str(key.not_before)
    if terms.expires_at is not None:
        key.expires_at = _end(terms.expires_at)
        changed["expires_at"] = str(key.expires_at)
    return changed


def _end(instant: datetime | Unbounded) -> datetime | None:
    return None if isinstance(instant, Unbounded) else instant


def _few(entries: Sequence[str]) -> Sequence[str]:
    if len(entries) > MAX_ENTRIES:
        raise InvalidValue(f"a key has at most {MAX_ENTRIES} models, and as many address ranges")
    return entries


def _scopes(scopes: Sequence[str]) -> list[str]:
    unknown = set(scopes) - set(Scope)
    if unknown or not scopes:
        raise InvalidValue(f"a scope is one of {', '.join(Scope)}")
    return sorted(set(scopes))


def _cidr(cidr: str) -> str:
    try:
        return str(ip_network(cidr))
    except ValueError:
        raise InvalidValue("an address range is written 203.0.113.0/24 or 2001:db8::/32") from None


def _add_secret(session: Session, keyring: Keyring, key_id: str, raw_key: str, now: datetime) -> None:
    pepper_id, digest = keyring.newest_digest(raw_key)
    session.add(KeySecret(digest=digest, key_id=key_id, pepper_id=pepper_id, created_at=now))


def _end_secrets(session: Session, key_id: str, now: datetime, end: datetime) -> None:
    """Has the key's secrets end by then. Raises `WrongState` where too many of them would still work."""
    living = 0
    for secret in session.scalars(select(KeySecret).where(KeySecret.key_id == key_id)):
        secret.expires_at = end if secret.expires_at is None else min(secret.expires_at, end)
        living += secret.expires_at > now
    if living >= MAX_LIVING_SECRETS:
        raise WrongState(f"the key has {living} secrets that work: rotate it without an overlap, or when one has ended")


def _key(session: Session, key_id: str, tenant_id: Reach) -> tuple[Key, Tenant]:
    found = find_key(session, key_id, tenant_id=tenant_id)
    if found is None:
        raise NotFound("there is no such key")
    return found


def _living_key(session: Session, key_id: str, tenant_id: Reach) -> tuple[Key, Tenant]:
    key, tenant = _key(session, key_id, tenant_id)
    if key.revoked_at is not None:
        raise WrongState(f"the key {key.id} is revoked")
    return key, tenant


def _announce(session: Session, actor: str, verb: str, key: Key, changed: dict[str, Any]) -> None:
    record_event(session, actor=actor, verb=verb, object_id=key.id, tenant_id=key.tenant_id, **changed)
    announce(session, "key", key.id)
