"""Objects as administrators see them, on the command line and over HTTP; never a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from db.catalogue import CatalogueEntry
from db.policies import Policy, policies_of, policies_of_each
from db.reach import EVERY_TENANT, Reach
from db.tables import Alias, Event, Key, Plan, Tenant, User, Version
from inference.rows.features import with_default_lengths
from quotas.accounts import PolicyState


def shown_plan(session: Session, plan: Plan) -> dict[str, Any]:
    return shown_plans(session, [plan])[0]


def shown_plans(session: Session, plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """Returns the plans with their limits, which are read in one query."""
    policies = policies_of_each(session, "plan", [plan.id for plan in plans], tenant_id=EVERY_TENANT)
    return [_plan(plan, policies[plan.id]) for plan in plans]


def shown_tenant(session: Session, tenant: Tenant, plan: Plan) -> dict[str, Any]:
    return _tenant(tenant, plan, policies_of(session, "tenant", tenant.id, tenant_id=tenant.id))


def shown_tenants(session: Session, rows: Sequence[tuple[Tenant, Plan]]) -> list[dict[str, Any]]:
    """Returns the tenants with their own limits, which are read in one query, for actors who may see every tenant."""
    policies = policies_of_each(session, "tenant", [tenant.id for tenant, _ in rows], tenant_id=EVERY_TENANT)
    return [_tenant(tenant, plan, policies[tenant.id]) for tenant, plan in rows]


def shown_key(session: Session, key: Key, tenant: Tenant) -> dict[str, Any]:
    return _key(key, tenant, policies_of(session, "key", key.id, tenant_id=tenant.id))


def shown_keys(session: Session, rows: Sequence[tuple[Key, Tenant]], *, tenant_id: Reach) -> list[dict[str, Any]]:
    """Returns the keys of a page with their own limits, which are read in one query."""
    policies = policies_of_each(session, "key", [key.id for key, _ in rows], tenant_id=tenant_id)
    return [_key(key, tenant, policies[key.id]) for key, tenant in rows]


def shown_policy(state: PolicyState) -> dict[str, Any]:
    """Returns a policy with its use; a calendar policy has no `window_seconds`, and most have no `model`."""
    window = {"calendar": state.calendar, "time_zone": state.time_zone, "window_seconds": state.window_seconds}
    return {
        "name": state.name,
        "unit": state.unit,
        "limit": state.limit,
        "quota": state.amount,
        **{member: value for member, value in (window | {"model": state.model}).items() if value is not None},
        "used": state.amount - state.left,
        "left": state.left,
        "more_in_seconds": state.grows_in_seconds,
    }


def shown_user(user: User, tenant: Tenant | None) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "tenant": tenant.name if tenant else None,
        "status": user.status,
        "must_change_password": user.must_change_password,
        "created_at": user.created_at,
        "last_sign_in_at": user.last_sign_in_at,
        "revision": user.revision,
    }


def shown_model(entry: CatalogueEntry) -> dict[str, Any]:
    names = entry.version_names()
    canaries = {name: alias for name, alias in entry.aliases.items() if alias.canary_version_id is not None}
    return {
        "name": entry.model.name,
        "public": entry.model.is_public,
        "versions": list(entry.versions),
        "aliases": {name: names[alias.version_id] for name, alias in entry.aliases.items()},
        "canaries": {name: shown_alias(alias, names) for name, alias in canaries.items()},
        "granted_to": sorted(entry.granted_to),
        "description": entry.model.description,
    }


def shown_alias(alias: Alias, names: Mapping[str, str]) -> dict[str, Any]:
    """Returns an alias with its canary and the versions that it named before; `names` are the versions' names by id."""
    return {
        "alias": alias.name,
        "version": names.get(alias.version_id),
        "canary": names.get(alias.canary_version_id or ""),
        "share": alias.share,
        "before": [names[each] for each in alias.history if each in names],
        "changed_at": alias.changed_at,
        "revision": alias.revision,
    }


def shown_version(version: Version) -> dict[str, Any]:
    return {
        "version": version.name,
        "format": version.format,
        "artifact_sha256": version.artifact_sha256,
        "compilation": version.compilation,
        "schema": with_default_lengths(version.row_schema),
        "created_at": version.created_at,
    }


def shown_event(event: Event, tenant: Tenant | None) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.at,
        "actor": event.actor,
        "verb": event.verb,
        "object": event.object_id,
        "tenant": tenant.name if tenant else None,
        "details": event.details,
    }


def _plan(plan: Plan, policies: Iterable[Policy]) -> dict[str, Any]:
    return {
        "name": plan.name,
        **_limits(policies),
        "concurrency": plan.concurrency,
        "created_at": plan.created_at,
        "revision": plan.revision,
    }


def _tenant(tenant: Tenant, plan: Plan, policies: Iterable[Policy]) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "id": tenant.id,
        "status": tenant.status,
        "plan": plan.name,
        **_limits(policies),
        "time_zone": tenant.time_zone,
        "created_at": tenant.created_at,
        "erased_at": tenant.erased_at,
        "revision": tenant.revision,
    }


def _key(key: Key, tenant: Tenant, policies: Iterable[Policy]) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": tenant.name,
        "label": key.label,
        "scopes": key.scopes,
        **_limits(policies),
        "models": key.models,
        "cidrs": key.cidrs,
        "not_before": key.not_before,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revision": key.revision,
    }


def _limits(policies: Iterable[Policy]) -> dict[str, Any]:
    """Returns an owner's own limits, in the words in which administrators gave them."""
    words: dict[str, list[str]] = {"requests": [], "rows": []}
    for each in policies:
        words[each.unit].append(each.text)
    return {"limits": words["requests"], "rows": words["rows"]}
