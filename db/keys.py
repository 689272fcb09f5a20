"""Queries on API keys: by digest for who is calling, by id and tenant for those who manage them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Key, KeySecret, Plan, Tenant


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that was presented, the key it opens, and whose key that is."""

    secret: KeySecret
    key: Key
    tenant: Tenant
    plan: Plan


def find_credential(session: Session, digests: Sequence[str]) -> Credential | None:
    """The key that one of these digests belongs to. The one query made before any tenant is known."""
    query = (
        select(KeySecret, Key, Tenant, Plan)
        .join(Key, Key.id == KeySecret.key_id)
        .join(Tenant, Tenant.id == Key.tenant_id)
        .join(Plan, Plan.id == Tenant.plan_id)
        .where(KeySecret.digest.in_(digests))
    )
    found = session.execute(query).first()
    return None if found is None else Credential(*found)


def find_key(session: Session, key_id: str) -> tuple[Key, Tenant] | None:
    """The key of that id and its tenant, for an operator, who may see every tenant's."""
    query = select(Key, Tenant).join(Tenant, Tenant.id == Key.tenant_id).where(Key.id == key_id)
    found = session.execute(query).first()
    return None if found is None else (found[0], found[1])


def keys_of(session: Session, *, tenant_id: str) -> list[Key]:
    return list(session.scalars(select(Key).where(Key.tenant_id == tenant_id).order_by(Key.created_at, Key.id)))
