"""Changes to API keys. `tenant_id` is the actor's reach: for a tenant's admin other tenants' keys do not exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.changes import Actor, change_by
from admin.facts import InvalidValue, NotFound, WrongState
from admin.key_terms import KeyTerms, apply_terms
from admin.revisions import revise
from admin.shown import shown_key
from admin.tenants import living_tenant
from audit.events import record_event
from auth import api_keys
from auth.keyring import Keyring
from auth.principal import Scope
from db.changes import announce
from db.database import Database
from db.keys import find_key
from db.reach import Reach
from db.tables import Key, KeySecret, Tenant
from values.ids import uuid7

MAX_OVERLAP = timedelta(days=90)
#: Each working secret is one more that can leak.
MAX_LIVING_SECRETS = 5


class IssuedKey(NamedTuple):
    """A key with its new secret, which is stored nowhere; `described` is the key as administrators see it."""

    key: Key
    raw_key: str
    described: dict[str, Any]

    @property
    def shown(self) -> dict[str, Any]:
        """The key as it is shown this once, with its secret."""
        return {"id": self.key.id, "key": self.raw_key} | self.described


def issue_key(
    database: Database, keyring: Keyring, *, actor: Actor, tenant: str, terms: KeyTerms, tenant_id: Reach
) -> IssuedKey:
    """Makes a key for a tenant. Raises `NotFound`, `WrongState` or `InvalidValue`."""
    raw_key = api_keys.mint()
    with change_by(database, actor, tenant_id) as session:
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
        changed = apply_terms(session, key, holder, terms, tenant_id)
        _add_secret(session, keyring, key.id, raw_key, now)
        _announce(session, actor, "key.issue", key, changed)
        return IssuedKey(key, raw_key, _shown(session, key, holder))


def set_key(
    database: Database,
    *,
    actor: Actor,
    key_id: str,
    terms: KeyTerms,
    tenant_id: Reach,
    revision: int | None = None,
) -> dict[str, Any]:
    """Changes a key's terms and returns the key as it is shown; a term that is None stays.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, tenant_id) as session:
        key, holder = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        _announce(session, actor, "key.set", key, apply_terms(session, key, holder, terms, tenant_id))
        return _shown(session, key, holder)


def rotate_key(
    database: Database,
    keyring: Keyring,
    *,
    actor: Actor,
    key_id: str,
    overlap: timedelta,
    tenant_id: Reach,
    revision: int | None = None,
) -> IssuedKey:
    """Gives a key a new secret; the older secrets work for `overlap` more.

    Raises `NotFound`, `WrongState`, `InvalidValue` or `ChangedMeanwhile`.
    """
    if overlap > MAX_OVERLAP:
        raise InvalidValue(f"an overlap is at most {MAX_OVERLAP.days} days")
    with change_by(database, actor, tenant_id) as session:
        key, tenant = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        raw_key = api_keys.mint(key.id)
        now = datetime.now(UTC)
        _end_secrets(session, key_id, now, now + overlap)
        _add_secret(session, keyring, key_id, raw_key, now)
        _announce(session, actor, "key.rotate", key, {"overlap_seconds": int(overlap.total_seconds())})
        return IssuedKey(key, raw_key, _shown(session, key, tenant))


def revoke_key(
    database: Database, *, actor: Actor, key_id: str, tenant_id: Reach, revision: int | None = None
) -> dict[str, Any]:
    """Ends a key for good and returns it as it is shown. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    with change_by(database, actor, tenant_id) as session:
        key, tenant = _living_key(session, key_id, tenant_id)
        revise(key, revision)
        key.revoked_at = datetime.now(UTC)
        _announce(session, actor, "key.revoke", key, {})
        return _shown(session, key, tenant)


def describe_key(database: Database, key_id: str, *, tenant_id: Reach) -> dict[str, Any]:
    """Returns the key as administrators see it. Raises `NotFound`."""
    with database.reading(tenant_id) as session:
        return shown_key(session, *_key(session, key_id, tenant_id))


def _shown(session: Session, key: Key, tenant: Tenant) -> dict[str, Any]:
    """Returns the key as a later reading would show it: instants in UTC, and the new revision."""
    session.flush()
    session.refresh(key)
    return shown_key(session, key, tenant)


def _add_secret(session: Session, keyring: Keyring, key_id: str, raw_key: str, now: datetime) -> None:
    pepper_id, digest = keyring.newest_digest(raw_key)
    session.add(KeySecret(id=uuid7(), digest=digest, key_id=key_id, pepper_id=pepper_id, created_at=now))


def _end_secrets(session: Session, key_id: str, now: datetime, end: datetime) -> None:
    """Lets the key's secrets end at `end` or before. Raises `WrongState` if too many of them would still work."""
    living = 0
    for secret in session.scalars(select(KeySecret).where(KeySecret.key_id == key_id)):
        secret.expires_at = end if secret.expires_at is None else min(secret.expires_at, end)
        living += secret.expires_at > now
    if living >= MAX_LIVING_SECRETS:
        raise WrongState(f"the key has {living} secrets that work: rotate it without an overlap, or when one has ended")


def _key(session: Session, key_id: str, tenant_id: Reach) -> tuple[Key, Tenant]:
    found = find_key(session, key_id, tenant_id=tenant_id)
    if found is None:
        raise NotFound("the key does not exist")
    return found


def _living_key(session: Session, key_id: str, tenant_id: Reach) -> tuple[Key, Tenant]:
    key, tenant = _key(session, key_id, tenant_id)
    if key.revoked_at is not None:
        raise WrongState(f"the key {key.id} is revoked")
    return key, tenant


def _announce(session: Session, actor: Actor, verb: str, key: Key, changed: dict[str, Any]) -> None:
    record_event(session, actor=actor.subject, verb=verb, object_id=key.id, tenant_id=key.tenant_id, **changed)
    announce(session, "key", key.id)
