"""Changes to models: versions, and who may use them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from admin.facts import NameTaken, NotFound, WrongState, checked_name
from admin.tenants import named_tenant
from db.catalogue import find_model, find_version, read_catalogue
from db.changes import announce
from db.database import Database
from db.events import record_event
from db.ids import uuid7
from db.reach import EVERY_TENANT
from db.tables import Alias, Grant, Model, Version
from inference import bundled
from inference.artifacts import ArtifactStore
from inference.features import without_personal_ranges
from inference.registry import PRODUCTION


def register_version(
    database: Database,
    store: ArtifactStore,
    *,
    actor: str,
    name: str,
    version: str,
    estimator: Any,
    sample: NDArray[np.float64],
    row_schema: dict[str, Any],
    description: str,
    is_public: bool,
) -> Version:
    """Stores a trained estimator, compiles and tests it on `sample` (rows, features), and makes it `production`.

    Raises `NameTaken` if the model has that version, or `InvalidValue` for a name.
    """
    from inference.compilation import compile_tested  # noqa: PLC0415  ONNX takes a second that only this should pay

    checked_name(name)
    checked_name(version)
    file = io.BytesIO()
    joblib.dump(estimator, file)
    sha256, mac = store.put(file.getvalue())
    compiled = compile_tested(estimator, sample)
    compiled_sha256, compiled_mac = store.put(compiled.model) if compiled.model else (None, None)
    with database.transaction(EVERY_TENANT) as session:
        now = datetime.now(UTC)
        model = find_model(session, name)
        if model is None:
            model = Model(id=uuid7(), name=name, description=description, is_public=is_public, created_at=now)
            session.add(model)
            session.flush()
        if find_version(session, model_id=model.id, name=version) is not None:
            raise NameTaken(f"the model {name} has a version {version} already")
        row = Version(
            id=uuid7(),
            model_id=model.id,
            name=version,
            status="active",
            format="joblib",
            artifact_sha256=sha256,
            artifact_mac=mac,
            compiled_sha256=compiled_sha256,
            compiled_mac=compiled_mac,
            compilation=compiled.report,
            row_schema=without_personal_ranges(row_schema),
            created_at=now,
        )
        session.add(row)
        session.flush()
        session.merge(Alias(model_id=model.id, name=PRODUCTION, version_id=row.id, changed_at=now))
        _announce(session, actor, "model.register", model, version=version, artifact_sha256=sha256)
    return row


def register_bundled(database: Database, store: ArtifactStore, *, actor: str) -> list[str]:
    """Registers those of the bundled models that are missing, for all tenants; returns their names."""
    with database.reading(EVERY_TENANT) as session:
        missing = bundled.NAMES - set(read_catalogue(session))
    if not missing:
        return []
    for each in bundled.train():
        if each.name in missing:
            register_version(
                database, store, actor=actor, name=each.name, version="1", estimator=each.estimator,
                sample=each.sample, row_schema=each.row_schema, description=each.description, is_public=True,
            )  # fmt: skip
    return sorted(missing)


def grant_model(database: Database, *, actor: str, name: str, tenant: str) -> None:
    """Lets a tenant use a model that is not public. Raises `NotFound`."""
    with database.transaction(EVERY_TENANT) as session:
        model, holder = _named_model(session, name), named_tenant(session, tenant, tenant_id=EVERY_TENANT)
        if holder.status == "erased":
            raise WrongState(f"the tenant {tenant} is erased")
        session.merge(Grant(model_id=model.id, tenant_id=holder.id, created_at=datetime.now(UTC)))
        _announce(session, actor, "model.grant", model, tenant_id=holder.id)


def ungrant_model(database: Database, *, actor: str, name: str, tenant: str) -> None:
    """Takes a tenant's right to a model back. Raises `NotFound`."""
    with database.transaction(EVERY_TENANT) as session:
        model, holder = _named_model(session, name), named_tenant(session, tenant, tenant_id=EVERY_TENANT)
        grant = session.get(Grant, (model.id, holder.id))
        if grant is None:
            raise NotFound("the model is not granted to the tenant")
        session.delete(grant)
        _announce(session, actor, "model.ungrant", model, tenant_id=holder.id)


def _named_model(session: Session, name: str) -> Model:
    model = find_model(session, name)
    if model is None:
        raise NotFound("there is no such model")
    return model


def _announce(
    session: Session, actor: str, verb: str, model: Model, *, tenant_id: str | None = None, **details: object
) -> None:
    record_event(session, actor=actor, verb=verb, object_id=model.id, tenant_id=tenant_id, name=model.name, **details)
    announce(session, "models", model.id)
