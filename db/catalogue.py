"""Queries on models, their versions and aliases, and the tenants that may use them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from db.tables import Alias, Grant, Model, Version


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model with its active versions by name, its aliases, and the tenants it is granted to."""

    model: Model
    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    granted_to: set[str] = field(default_factory=set)

    def version_names(self) -> dict[str, str]:
        """Returns the active versions' names by id."""
        return {version.id: name for name, version in self.versions.items()}


def read_catalogue(session: Session) -> dict[str, CatalogueEntry]:
    """Returns every model, by name."""
    entries = {model.id: CatalogueEntry(model) for model in session.scalars(select(Model).order_by(Model.name))}
    active = select(Version).where(Version.status == "active").order_by(Version.created_at, Version.id)
    for version in session.scalars(active):
        # A model that was made between two of these queries announces a change of its own, which is followed soon.
        if version.model_id in entries:
            entries[version.model_id].versions[version.name] = version
    for alias in session.scalars(select(Alias).order_by(Alias.name)):
        if alias.model_id in entries and alias.version_id in entries[alias.model_id].version_names():
            entries[alias.model_id].aliases[alias.name] = alias
    for grant in session.scalars(select(Grant)):
        if grant.model_id in entries:
            entries[grant.model_id].granted_to.add(grant.tenant_id)
    return {entry.model.name: entry for entry in entries.values()}


def models_of_tenant(session: Session, *, tenant_id: str) -> set[str]:
    """Returns the names of the models that the tenant may use: public ones and those granted to it."""
    granted = select(Grant.model_id).where(Grant.tenant_id == tenant_id)
    return set(session.scalars(select(Model.name).where(or_(Model.is_public, Model.id.in_(granted)))))


def known_models(session: Session, names: Collection[str]) -> set[str]:
    """Returns those of the names that are models'."""
    return set(session.scalars(select(Model.name).where(Model.name.in_(names)))) if names else set()


def model_names(session: Session) -> dict[str, str]:
    """Returns the name of every model, by its id."""
    return {id_: name for id_, name in session.execute(select(Model.id, Model.name))}  # noqa: C416  dict() of rows has no type


def find_model(session: Session, name: str) -> Model | None:
    return session.scalar(select(Model).where(Model.name == name))


def versions_named(session: Session, name: str, *, model_id: str | None) -> list[Version]:
    """Returns the versions of that name, of one model or of every model, newest first; retired ones too."""
    query = select(Version).where(Version.name == name)
    if model_id is not None:
        query = query.where(Version.model_id == model_id)
    return list(session.scalars(query.order_by(Version.created_at.desc(), Version.id.desc())))


def find_version(session: Session, *, model_id: str, name: str, is_held: bool = False) -> Version | None:
    """Returns a version, active or retired; with `is_held` no other transaction changes it until this one ends."""
    found = select(Version).where(Version.model_id == model_id, Version.name == name)
    return session.scalar(found.with_for_update() if is_held else found)


def version_names_of(session: Session, *, model_id: str) -> set[str]:
    """Returns the names of all versions of the model, active and retired."""
    return set(session.scalars(select(Version.name).where(Version.model_id == model_id)))


def active_names_of(session: Session, *, model_id: str) -> dict[str, str]:
    """Returns the names of the model's active versions by id."""
    query = select(Version.id, Version.name).where(Version.model_id == model_id, Version.status == "active")
    return {id_: name for id_, name in session.execute(query)}  # noqa: C416  dict() of rows has no type


def find_alias(session: Session, *, model_id: str, name: str) -> Alias | None:
    return session.get(Alias, (model_id, name))


def aliases_of(session: Session, *, model_id: str) -> list[Alias]:
    return list(session.scalars(select(Alias).where(Alias.model_id == model_id).order_by(Alias.name)))
