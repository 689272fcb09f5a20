"""Changes to who may use a model, and what is told of any change to one."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from admin.facts import NotFound
from admin.tenants import living_tenant, named_tenant
from audit.events import record_event
from db.catalogue import find_model
from db.changes import announce
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Grant, Model


def grant_model(database: Database, *, actor: str, name: str, tenant: str) -> None:
    """Lets a tenant use a model that is not public. Raises `NotFound` or `WrongState`."""
    with database.transaction(EVERY_TENANT) as session:
        model, holder = named_model(session, name), living_tenant(session, tenant, tenant_id=EVERY_TENANT)
        session.merge(Grant(model_id=model.id, tenant_id=holder.id, created_at=datetime.now(UTC)))
        announce_model(session, actor, "model.grant", model, tenant_id=holder.id)


def ungrant_model(database: Database, *, actor: str, name: str, tenant: str) -> None:
    """Takes a tenant's right to a model back. Raises `NotFound`."""
    with database.transaction(EVERY_TENANT) as session:
        model, holder = named_model(session, name), named_tenant(session, tenant, tenant_id=EVERY_TENANT)
        grant = session.get(Grant, (model.id, holder.id))
        if grant is None:
            raise NotFound("the model is not granted to the tenant")
        session.delete(grant)
        announce_model(session, actor, "model.ungrant", model, tenant_id=holder.id)


def named_model(session: Session, name: str) -> Model:
    """The model of that name. Raises `NotFound`."""
    model = find_model(session, name)
    if model is None:
        raise NotFound("there is no such model")
    return model


def announce_model(
    session: Session, actor: str, verb: str, model: Model, *, tenant_id: str | None = None, **details: object
) -> None:
    """Records the event, and has every process look at the models anew."""
    record_event(session, actor=actor, verb=verb, object_id=model.id, tenant_id=tenant_id, name=model.name, **details)
    announce(session, "models", model.id)
