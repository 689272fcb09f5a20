"""Objects as administrators see them, on the command line and over HTTP; never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from db.catalogue import CatalogueEntry
from db.policies import Level, policies_of
from db.reach import EVERY_TENANT, Reach
from db.tables import Alias, Event, Key, Plan, Tenant, User, Version


def shown_plan(session: Session, plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        **_limits(session, "plan", plan.id, EVERY_TENANT),
        "concurrency": plan.concurrency,
        "created_at": plan.created_at,
        "revision": plan.revision,
    }


def shown_tenant(session: Session, tenant: Tenant, plan: Plan) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "id": tenant.id,
        "status": tenant.status,
        "plan": plan.name,
        **_limits(session, "tenant", tenant.id, tenant.id),
        "created_at": tenant.created_at,
        "erased_at": tenant.erased_at,
        "revision": tenant.revision,
    }


def shown_key(session: Session, key: Key, tenant: Tenant) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": tenant.name,
        "label": key.label,
        "scopes": key.scopes,
        **_limits(session, "key", key.id, tenant.id),
        "models": key.models,
        "cidrs": key.cidrs,
        "not_before": key.not_before,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revision": key.revision,
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
    return {
        "name": entry.model.name,
        "public": entry.model.is_public,
        "versions": list(entry.versions),
        "aliases": {name: entry.version_names()[alias.version_id] for name, alias in entry.aliases.items()},
        "canaries": {name: shown_alias(alias, entry.version_names()) for name, alias in entry.aliases.items()
                     if alias.canary_version_id is not None},
        "granted_to": sorted(entry.granted_to),
        "description": entry.model.description,
    }  # fmt: skip


def shown_alias(alias: Alias, names: Mapping[str, str]) -> dict[str, Any]:
    """An alias with its canary, if there is one, and the versions it named before; `names` are the versions' by id."""
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
        "schema": version.row_schema,
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


def _limits(session: Session, level: Level, owner_id: str, tenant_id: Reach) -> dict[str, Any]:
    """An owner's own limits, in the words in which they are given."""
    policies = policies_of(session, level, owner_id, tenant_id=tenant_id)
    words = {
        unit: [f"{p.amount}/{p.window_seconds} seconds" for p in policies if p.unit == unit]
        for unit in ("requests", "rows")
    }
    return {"limits": words["requests"], "rows": words["rows"]}
