"""Which version answers: promotion, canaries, rolling back, retiring."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NotFound, WrongState, checked_name
from admin.models import announce_model, named_model
from admin.revisions import revise
from db.catalogue import aliases_of, find_alias, find_version, version_names_of
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Alias, Model, Version
from inference.listings import PRODUCTION
from inference.loading import reason_of

MAX_HISTORY = 50

#: Loads a version as a server would; raises whatever keeps it from being served.
Trial = Callable[[Model, Version], None]


def promote_version(
    database: Database, *, actor: str, name: str, version: str, trial: Trial, alias: str = PRODUCTION,
    share: float = 100.0, revision: int | None = None,
) -> Alias:  # fmt: skip
    """Has an alias name a version or, with a share under 100 percent, has that share of the keys answered by it.

    The version is loaded first, so that nothing is promoted that cannot answer. Raises `NotFound`, `InvalidValue`,
    `WrongState` or `ChangedMeanwhile`.
    """
    checked_name(alias)
    if not 0 < share <= 100:
        raise InvalidValue("a share is more than 0 and at most 100 percent")
    with database.reading(EVERY_TENANT) as session:
        model = named_model(session, name)
        candidate = _active_version(session, model, version)
    try:
        trial(model, candidate)
    except Exception as error:  # noqa: BLE001  a model may raise anything
        raise WrongState(f"version {version} cannot be loaded: {reason_of(error)}") from None
    with database.transaction(EVERY_TENANT) as session:
        model = named_model(session, name)
        # Held, so that it is not retired while an alias is made to name it, nor named while it is retired.
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
    return at


def rollback_alias(
    database: Database, *, actor: str, name: str, alias: str = PRODUCTION, revision: int | None = None
) -> Alias:
    """Takes the last promotion back: ends the canary if there is one, or else names the version from before.

    Raises `NotFound`, `WrongState` if there is none, or `ChangedMeanwhile`.
    """
    with database.transaction(EVERY_TENANT) as session:
        model = named_model(session, name)
        at = find_alias(session, model_id=model.id, name=alias)
        if at is None:
            raise NotFound(f"the model {name} has no alias {alias}")
        revise(at, revision)
        before = [each for each in at.history if _is_active(session, each)]
        if at.canary_version_id is not None:
            at.canary_version_id, at.share = None, 0
        elif before:
            at.version_id, at.history = before[-1], before[:-1]
        else:
            raise WrongState(f"{alias} has named no other version before that is not retired")
        at.changed_at = datetime.now(UTC)
        session.flush()
        now = session.get_one(Version, at.version_id)
        announce_model(session, actor, "model.rollback", model, version=now.name, alias=alias)
    return at


def retire_version(database: Database, *, actor: str, name: str, version: str) -> None:
    """Takes a version out of use for good; its records stay. Raises `NotFound` or `WrongState`."""
    with database.transaction(EVERY_TENANT) as session:
        model = named_model(session, name)
        row = _active_version(session, model, version, is_held=True)
        for alias in aliases_of(session, model_id=model.id):
            if row.id in (alias.version_id, alias.canary_version_id):
                raise WrongState(f"{alias.name} names version {version}: promote another one first")
        row.status = "retired"
        announce_model(session, actor, "model.retire", model, version=version)


def move_alias(at: Alias, version_id: str) -> None:
    """Has it name the version, remembers the one before, and ends a canary."""
    if at.version_id != version_id:
        at.history = [*at.history, at.version_id][-MAX_HISTORY:]
    at.version_id, at.canary_version_id, at.share, at.changed_at = version_id, None, 0, datetime.now(UTC)


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


def _is_active(session: Session, version_id: str) -> bool:
    row = session.get(Version, version_id)
    return row is not None and row.status == "active"
