"""Changes to the grants of a model, models as they are shown, and the announcement of any change to a model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from admin.changes import Actor, change_by
from admin.facts import NotFound
from admin.shown import shown_model, shown_version
from admin.tenants import living_tenant, named_tenant
from audit.events import record_event
from db.catalogue import find_model, read_catalogue
from db.changes import announce
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Grant, Model, Version
from inference.files.own_code import OwnCode


def grant_model(database: Database, *, actor: Actor, name: str, tenant: str) -> dict[str, Any]:
    """Lets a tenant use a model that is not public. Raises `NotFound` or `WrongState`."""
    with change_by(database, actor, EVERY_TENANT) as session:
        model, holder = named_model(session, name), living_tenant(session, tenant, tenant_id=EVERY_TENANT)
        session.merge(Grant(model_id=model.id, tenant_id=holder.id, created_at=datetime.now(UTC)))
        announce_model(session, actor, "model.grant", model, tenant_id=holder.id)
        return {"model": name, "granted_to": tenant}


def ungrant_model(database: Database, *, actor: Actor, name: str, tenant: str) -> dict[str, Any]:
    """Takes a tenant's right to a model back. Raises `NotFound`."""
    with change_by(database, actor, EVERY_TENANT) as session:
        model, holder = named_model(session, name), named_tenant(session, tenant, tenant_id=EVERY_TENANT)
        grant = session.get(Grant, (model.id, holder.id))
        if grant is None:
            raise NotFound("the model is not granted to the tenant")
        session.delete(grant)
        announce_model(session, actor, "model.ungrant", model, tenant_id=holder.id)
        return {"model": name, "no_longer_granted_to": tenant}


def list_models(database: Database, code: OwnCode) -> list[dict[str, Any]]:
    """Returns every model; `faults` says which of its versions cannot be loaded by their own code as it is now."""
    with database.reading(EVERY_TENANT) as session:
        entries = read_catalogue(session)
    return [shown_model(entry) | {"faults": _faults(entry.versions, code)} for entry in entries.values()]


def describe_model(database: Database, code: OwnCode, name: str, version: str | None = None) -> dict[str, Any]:
    """Returns the model with the details of its versions, or of the one that `version` names, also by an alias.

    `faults` is as in `list_models`. Raises `NotFound`.
    """
    with database.reading(EVERY_TENANT) as session:
        entry = read_catalogue(session).get(name)
    if entry is None:
        raise NotFound(f"the model {name} does not exist")
    shown = shown_model(entry)
    wanted = shown["aliases"].get(version or "", version)
    if wanted is not None and wanted not in entry.versions:
        raise NotFound(f"the model {name} has no version {version}")
    chosen = {number: each for number, each in entry.versions.items() if wanted in (None, number)}
    return shown | {"faults": _faults(chosen, code), "details": [shown_version(each) for each in chosen.values()]}


def _faults(versions: Mapping[str, Version], code: OwnCode) -> dict[str, str]:
    found = {name: code.fault_in(each.compilation.get("own_code", ())) for name, each in versions.items()}
    return {name: fault for name, fault in found.items() if fault is not None}


def named_model(session: Session, name: str) -> Model:
    """Returns the model of that name. Raises `NotFound`."""
    model = find_model(session, name)
    if model is None:
        raise NotFound("the model does not exist")
    return model


def announce_model(
    session: Session, actor: Actor, verb: str, model: Model, *, tenant_id: str | None = None, **details: object
) -> None:
    """Records the event, and lets every process read the models again."""
    record_event(
        session,
        actor=actor.subject,
        verb=verb,
        object_id=model.id,
        tenant_id=tenant_id,
        name=model.name,
        **details,
    )
    announce(session, "models", model.id)
