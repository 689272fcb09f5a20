"""Queries on API keys: by secret to find the caller, by id and tenant to manage keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.reach import Reach, within
from db.tables import Key, KeySecret, Plan, Tenant


class KeyStanding(NamedTuple):
    """The facts by which a key may be used now or not."""

    revoked_at: datetime | None
    not_before: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """A key's secret with its key, its tenant and the tenant's plan."""

    secret: KeySecret
    key: Key
    tenant: Tenant
    plan: Plan


def find_credential(session: Session, digests: Sequence[str], *, tenant_id: Reach) -> Credential | None:
    """Returns the key that one of these digests belongs to."""
    found = session.execute(_credentials(tenant_id).where(KeySecret.digest.in_(digests))).first()
    return None if found is None else Credential(*found)


def credentials_of(session: Session, key_id: str, *, tenant_id: Reach) -> list[Credential]:
    """Returns the key of that id, once with each of its secrets."""
    return [Credential(*found) for found in session.execute(_credentials(tenant_id).where(Key.id == key_id))]


def find_key(session: Session, key_id: str, *, tenant_id: Reach) -> tuple[Key, Tenant] | None:
    """Returns the key of that id and its tenant."""
    found = session.execute(_keys(tenant_id).where(Key.id == key_id)).first()
    return None if found is None else (found[0], found[1])


def hold_key(session: Session, key_id: str, *, tenant_id: Reach, is_exclusive: bool = False) -> KeyStanding | None:
    """Returns the key's standing now; on PostgreSQL other transactions cannot change it until this one ends.

    With `is_exclusive` the call also waits for transactions that hold the key.
    """
    query = select(Key.revoked_at, Key.not_before, Key.expires_at).where(Key.id == key_id)
    held = query.where(within(Key.tenant_id, tenant_id)).with_for_update(read=not is_exclusive, key_share=is_exclusive)
    found = session.execute(held).first()
    return None if found is None else KeyStanding(*found)


def secret_end(session: Session, secret_id: str, *, tenant_id: Reach) -> tuple[datetime | None] | None:
    """Returns the end of a secret, by the secret's id, in a tuple; None if the secret does not exist."""
    query = select(KeySecret.expires_at).where(KeySecret.id == secret_id, KeySecret.key_id.in_(_ids(tenant_id)))
    found = session.execute(query).first()
    return None if found is None else (found[0],)


def page_of_living_keys(session: Session, cut: Cut, *, tenant_id: Reach) -> Page:
    """Returns a page of keys that are not revoked, by id, each with its tenant."""
    return read_page(session, _keys(tenant_id).where(Key.revoked_at.is_(None)), Key.id, cut)


def page_of_keys(session: Session, cut: Cut, *, tenant_id: Reach, unused_since: datetime | None = None) -> Page:
    """Returns a page of keys by id, each with its tenant.

    With `unused_since` only keys that are not revoked and were neither used nor made since then.
    """
    query = _keys(tenant_id)
    if unused_since is not None:
        is_unused = func.coalesce(Key.last_used_at, Key.created_at) < unused_since
        query = query.where(Key.revoked_at.is_(None), is_unused)
    return read_page(session, query, Key.id, cut)


def note_use(session: Session, key_ids: Sequence[str], used_at: datetime, *, tenant_id: Reach) -> None:
    """Writes the last use of these keys; their revision stays, since no administrator's change can be lost to it."""
    used = update(Key).where(Key.id.in_(key_ids), within(Key.tenant_id, tenant_id))
    session.execute(used.values(last_used_at=used_at))


def renew_digest(session: Session, digest: str, newest: str, pepper_id: int, *, tenant_id: Reach) -> None:
    """Replaces a secret's digest by the one under another pepper."""
    secret = update(KeySecret).where(KeySecret.digest == digest, KeySecret.key_id.in_(_ids(tenant_id)))
    session.execute(secret.values(digest=newest, pepper_id=pepper_id))


def secrets_by_pepper(session: Session, *, tenant_id: Reach) -> dict[int, int]:
    """Returns the number of secrets that are digested under each pepper."""
    counted = select(KeySecret.pepper_id, func.count()).where(KeySecret.key_id.in_(_ids(tenant_id)))
    return dict(session.execute(counted.group_by(KeySecret.pepper_id)).all())


def delete_keys(session: Session, *, tenant_id: str) -> int:
    """Deletes the tenant's keys with their secrets and limits; returns the number of keys."""
    ids = session.scalars(delete(Key).where(Key.tenant_id == tenant_id).returning(Key.id))
    return len(ids.all())


def _ids(tenant_id: Reach) -> Select[*tuple[Any, ...]]:
    return select(Key.id).where(within(Key.tenant_id, tenant_id))


def _keys(tenant_id: Reach) -> Select[*tuple[Any, ...]]:
    return select(Key, Tenant).join(Tenant, Tenant.id == Key.tenant_id).where(within(Key.tenant_id, tenant_id))


def _credentials(tenant_id: Reach) -> Select[*tuple[Any, ...]]:
    return (
        select(KeySecret, Key, Tenant, Plan)
        .join(Key, Key.id == KeySecret.key_id)
        .join(Tenant, Tenant.id == Key.tenant_id)
        .join(Plan, Plan.id == Tenant.plan_id)
        .where(within(Key.tenant_id, tenant_id))
    )
