"""A key's terms: label, scopes, models, addresses, limits and life, as they are asked for and applied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from ipaddress import ip_network
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from admin.facts import InvalidValue, checked_name
from admin.limits import Limits, check_within_tenant, set_limits
from auth.principal import Scope
from db.catalogue import models_of_tenant
from db.reach import EVERY_TENANT, Reach
from db.tables import Key, Tenant

MAX_LABEL = 200
MAX_ENTRIES = 100


class Unbounded(Enum):
    """Clears a beginning or an end."""

    NONE = "none"


class KeyTerms(NamedTuple):
    """The terms of a key. None leaves a term as it is; a new key has all models, any address, no beginning, no end.

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


def apply_terms(session: Session, key: Key, holder: Tenant, terms: KeyTerms, reach: Reach) -> dict[str, Any]:
    """Gives the key these terms and returns the changes; a tenant's admin can give no more than the tenant has.

    Raises `InvalidValue`.
    """
    changed = _apply_own(key, terms)
    begun_at = key.created_at if key in session.new else None
    session.flush()
    models = None if reach is EVERY_TENANT else models_of_tenant(session, tenant_id=holder.id)
    limits = Limits(terms.requests, terms.rows)
    changed |= set_limits(session, "key", key.id, limits, tenant_id=holder.id, models=models, begun_at=begun_at)
    if models is not None:
        check_within_tenant(session, key, holder, changed)
        if missing := set(changed.get("models") or ()) - models:
            raise InvalidValue(f"the tenant has no model {', '.join(sorted(missing))}")
    return changed


def _apply_own(key: Key, terms: KeyTerms) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if terms.label is not None:
        if len(terms.label) > MAX_LABEL or "\0" in terms.label:
            raise InvalidValue(f"a label has at most {MAX_LABEL} characters, and no NUL")
        # A label may name a person, and events outlive the tenant.
        key.label, changed["label"] = terms.label, "set"
    if terms.scopes is not None:
        key.scopes = changed["scopes"] = _scopes(terms.scopes)
    if terms.models is not None:
        key.models = changed["models"] = sorted({checked_name(model) for model in _few(terms.models)}) or None
    if terms.cidrs is not None:
        key.cidrs = changed["cidrs"] = [_cidr(cidr) for cidr in _few(terms.cidrs)] or None
    if terms.not_before is not None:
        key.not_before = _bound(terms.not_before)
        changed["not_before"] = str(key.not_before)
    if terms.expires_at is not None:
        key.expires_at = _bound(terms.expires_at)
        changed["expires_at"] = str(key.expires_at)
    return changed


def _bound(instant: datetime | Unbounded) -> datetime | None:
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
