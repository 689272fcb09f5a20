"""Changes to the version that answers: promotion, canaries, rollback, retirement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from admin.changes import Actor, change_by, reading_by
from admin.facts import InvalidValue, NotFound, WrongState, checked_name
from admin.models.access import announce_model, named_model
from admin.revisions import check_revision, revise
from admin.shown import shown_alias
from db.catalogue import active_names_of, aliases_of, find_alias, find_version, version_names_of
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Alias, Model, Version
from inference.listings import PRODUCTION
from inference.loading import reason_of

MAX_HISTORY = 50

#: Loads a version as a server would; raises what loading raises.
Trial = Callable[[Model, Version], None]


def promote_version(
    database: Database,
    *,
    actor: Actor,
    name: str,
    version: str,
    trial: Trial,
    alias: str = PRODUCTION,
    share: float = 100.0,
    revision: int | None = None,
) -> dict[str, Any]:
    """Lets an alias name a version or, with a share under 100 percent, lets the version answer that share of the keys.

    Loads the version first, so that no version is promoted that cannot answer. Returns the alias as it is shown. Raises
    `NotFound`, `InvalidValue`, `WrongState` or `ChangedMeanwhile`.
    """
    checked_name(alias)
    if not 0 < share <= 100:
        raise InvalidValue("a share is more than 0 and at most 100 percent")
    with reading_by(database, actor, EVERY_TENANT) as session:
        model = named_model(session, name)
        candidate = _active_version(session, model, version)
    try:
        trial(model, candidate)
    except Exception as error:  # noqa: BLE001  a model may raise anything
        raise WrongState(f"version {version} cannot be loaded: {reason_of(error)}") from None
    with change_by(database, actor, EVERY_TENANT) as session:
        model = named_model(session, name)
        # Held: the version cannot be retired while an alias is made to name it, nor named while it is retired.
        row = _active_version(session, model, version, is_held=True)
        at = find_alias(session, model_id=model.id, name=alias)
        if at is None:
            at = _new_alias(session, model, alias, row, share, revision)
        else:
            revise(at, revision)
            if share < 100:
                if row.id == at.version_id:
                    raise WrongState(f"{alias} is version {version} already: a canary is another one")
                at.canary_version_id, at.share, at.changed_at = row.id, share, datetime.now(UTC)
            else:
                move_alias(at, row.id)
        announce_model(session, actor, "model.promote", model, version=version, alias=alias, share=share)
        return _shown(session, model, at)


def rollback_alias(
    database: Database, *, actor: Actor, name: str, alias: str = PRODUCTION, revision: int | None = None
) -> dict[str, Any]:
    """Takes the last promotion back: ends the alias's canary or, without one, names the version before.

    Returns the alias as it is shown. Raises `NotFound`, `WrongState` if no version was before, or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        model = named_model(session, name)
        at = find_alias(session, model_id=model.id, name=alias)
        if at is None:
            raise NotFound(f"the model {name} has no alias {alias}")
        check_revision(at, revision)
        names = active_names_of(session, model_id=model.id)
        before = [each for each in at.history if each in names]
        revise(at, revision)
        if at.canary_version_id is not None:
            at.canary_version_id, at.share = None, 0
        elif before:
            at.version_id, at.history = before[-1], before[:-1]
        else:
            raise WrongState(f"{alias} has named no other version before that is not retired")
        at.changed_at = datetime.now(UTC)
        announce_model(session, actor, "model.rollback", model, version=names[at.version_id], alias=alias)
        return _shown(session, model, at)


def retire_version(database: Database, *, actor: Actor, name: str, version: str) -> dict[str, Any]:
    """Takes a version out of use for good; its records stay. Raises `NotFound` or `WrongState`."""
    with change_by(database, actor, EVERY_TENANT) as session:
        model = named_model(session, name)
        row = _active_version(session, model, version, is_held=True)
        for alias in aliases_of(session, model_id=model.id):
            if row.id in (alias.version_id, alias.canary_version_id):
                raise WrongState(f"{alias.name} names version {version}: promote another one first")
        row.status = "retired"
        announce_model(session, actor, "model.retire", model, version=version)
        return {"model": name, "retired": version}


def move_alias(at: Alias, version_id: str) -> None:
    """Lets the alias name the version, remembers the version before, and ends a canary."""
    if at.version_id != version_id:
        at.history = [*at.history, at.version_id][-MAX_HISTORY:]
    at.version_id, at.canary_version_id, at.share, at.changed_at = version_id, None, 0, datetime.now(UTC)


def _shown(session: Session, model: Model, alias: Alias) -> dict[str, Any]:
    return {"model": model.name, **shown_alias(alias, active_names_of(session, model_id=model.id))}


def _new_alias(
    session: Session, model: Model, name: str, version: Version, share: float, revision: int | None
) -> Alias:
    if share < 100:
        raise WrongState(f"the model {model.name} has no alias {name} yet, of which a share could be taken")
    if revision is not None:
        raise NotFound(f"the model {model.name} has no alias {name}")
    if name in version_names_of(session, model_id=model.id):
        raise InvalidValue(f"an alias may not be named like a version, and {name} is one")
    alias = Alias(
        model_id=model.id, name=name, version_id=version.id, share=0, history=[], changed_at=datetime.now(UTC)
    )
    session.add(alias)
    return alias


def _active_version(session: Session, model: Model, name: str, *, is_held: bool = False) -> Version:
    row = find_version(session, model_id=model.id, name=name, is_held=is_held)
    if row is None or row.status != "active":
        raise NotFound(f"the model {model.name} has no version {name}")
    return row
