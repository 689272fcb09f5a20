"""Readings of the prediction log: each is an event, which is written before anything is read.

An event keeps the ids of the things that a reading named, null for things that the reader may not see, and never the
words themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session

from admin.changes import change_by
from audit.events import record_event
from audit.filters import Wanted
from db.catalogue import find_model, models_of_tenant, versions_named
from db.database import Database
from db.keys import find_key
from db.prediction_log import Filters, is_in_log
from db.reach import Reach
from db.tables import Model, Tenant, Version
from db.tenants import find_tenant

#: A version's name without a model may name one version of each model.
MAX_KEPT_VERSIONS = 10


class Reader(Protocol):
    """A reader of the log, with a name for events and a reach that every reading stays within."""

    @property
    def subject(self) -> str: ...
    @property
    def reach(self) -> Reach: ...


class _Named(NamedTuple):
    """The things that filters name."""

    tenant: Tenant | None
    model: Model | None
    versions: Sequence[Version]


def note_search(database: Database, reader: Reader, wanted: Wanted) -> Filters | None:
    """Writes the event of a search; returns the filters to search by, or None if they can find no record."""
    with change_by(database, reader, reader.reach) as session:
        named = _named(session, wanted, reader.reach)
        kept = wanted.to_keep() | _ids_to_keep(session, wanted, named, reader.reach)
        _record(session, reader, "log.search", named.tenant, kept)
    return _filters(wanted, named, reader.reach)


def note_lookup(database: Database, reader: Reader, request_id: str) -> None:
    """Writes the event of looking one record up by its id."""
    with change_by(database, reader, reader.reach) as session:
        _record(session, reader, "log.read", None, {"request_id": _known(session, request_id, reader.reach)})


def _record(session: Session, reader: Reader, verb: str, tenant: Tenant | None, asked: dict[str, Any]) -> None:
    own = reader.reach if isinstance(reader.reach, str) else None
    tenant_id = tenant.id if tenant else own
    record_event(session, actor=reader.subject, verb=verb, object_id="log", tenant_id=tenant_id, asked=asked)


def _named(session: Session, wanted: Wanted, reach: Reach) -> _Named:
    tenant = find_tenant(session, wanted.tenant, tenant_id=reach) if wanted.tenant else None
    model = find_model(session, wanted.model) if wanted.model else None
    if wanted.version is None or (wanted.model is not None and model is None):
        return _Named(tenant, model, [])
    return _Named(tenant, model, versions_named(session, wanted.version, model_id=model.id if model else None))


def _ids_to_keep(session: Session, wanted: Wanted, named: _Named, reach: Reach) -> dict[str, Any]:
    """Returns the ids of the things that the filters name and the reader may see: an event must not tell more."""
    ids: dict[str, Any] = {}
    if wanted.tenant is not None:
        ids["tenant"] = named.tenant and named.tenant.id
    if wanted.key is not None:
        ids["key"] = wanted.key if find_key(session, wanted.key, tenant_id=reach) else None
    if wanted.request_id is not None:
        ids["request_id"] = _known(session, wanted.request_id, reach)
    if wanted.model is not None:
        ids["model"] = named.model.id if named.model and _may_see(session, named.model, reach) else None
    if wanted.version is not None:
        models = {each.model_id: session.get_one(Model, each.model_id) for each in named.versions}
        seen = [each.id for each in named.versions if _may_see(session, models[each.model_id], reach)]
        ids["version"] = seen[:MAX_KEPT_VERSIONS]
    return ids


def _may_see(session: Session, model: Model, reach: Reach) -> bool:
    return not isinstance(reach, str) or model.name in models_of_tenant(session, tenant_id=reach)


def _known(session: Session, request_id: str, reach: Reach) -> str | None:
    return request_id if is_in_log(session, request_id, tenant_id=reach) else None


def _filters(wanted: Wanted, named: _Named, reach: Reach) -> Filters | None:
    is_nothing = (
        (wanted.tenant is not None and named.tenant is None)
        or (wanted.model is not None and named.model is None)
        or (wanted.version is not None and not named.versions)
    )
    if is_nothing:
        return None
    return Filters(
        tenant_id=named.tenant.id if named.tenant else reach,
        key_id=wanted.key,
        model_id=named.model.id if named.model else None,
        version_ids=[each.id for each in named.versions] if wanted.version is not None else None,
        outcome=wanted.outcome,
        status=wanted.status,
        request_id=wanted.request_id,
        fingerprint=wanted.fingerprint,
        from_at=wanted.from_at,
        to_at=wanted.to_at,
        min_latency_us=wanted.min_latency_us,
    )
