"""Registering a version of a model: from a file, with what is found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NameTaken, checked_name
from admin.models import announce_model
from admin.promotion import move_alias
from db.catalogue import aliases_of, find_alias, find_model, version_names_of
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Alias, Model, Version
from examination.apart import examine_apart
from examination.given_schema import RefusedSchema, check_given, is_storable
from examination.orders import Examined, Order, RefusedModel
from inference.artifacts import ArtifactStore
from inference.listings import PRODUCTION, version_facts
from inference.model_files import Format, RefusedFile, format_of
from values.ids import uuid7

MAX_DESCRIPTION = 2_000
#: What the admin API takes: files that run no code when they are opened.
HARMLESS: tuple[Format, ...] = ("skops", "onnx")


class Vouching(Protocol):
    """What the keyring gives: a keyed digest of a version's facts."""

    def version_mac(self, facts: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """A model's file as it was handed in, by name and content, with what the operator says of it.

    Without `version` it gets the next number, without `alias` the first version of a model becomes `production`.
    """

    file_name: str
    content: bytes
    sample_name: str | None = None
    sample: bytes | None = None
    target: str | None = None
    schema: Mapping[str, Any] | None = None
    version: str | None = None
    alias: str | None = None
    is_compiled: bool = True
    is_public: bool = False
    description: str | None = None


def register_version(
    database: Database, store: ArtifactStore, vouching: Vouching, *, actor: str, name: str, submission: Submission,
    trusted: tuple[str, ...] = (), limit_seconds: float = 600.0, formats: tuple[Format, ...] | None = None,
    is_apart: bool = True,
) -> Version:  # fmt: skip
    """Examines the file, stores what is loaded of it, and lists it, all of it or nothing.

    Raises `InvalidValue` for a file that cannot be served or a name that cannot be, `NameTaken` for a version that
    there is. With `is_apart` the file is opened in a process of its own, which has `limit_seconds`.
    """
    checked_name(name)
    try:
        kind = format_of(submission.file_name)
    except RefusedFile as refused:
        raise InvalidValue(str(refused)) from None
    if formats is not None and kind not in formats:
        raise InvalidValue(f"this takes {' and '.join(formats)} files: others are registered on the command line")
    _check_words(submission)
    with database.reading(EVERY_TENANT) as session:
        _check_names(session, name, submission)
    order = Order(
        format=kind, sample_name=submission.sample_name, target=submission.target, given=submission.schema,
        is_compiled=submission.is_compiled, trusted=trusted,
    )  # fmt: skip
    try:
        if is_apart:
            examined = examine_apart(submission.content, submission.sample, order, limit_seconds=limit_seconds)
        else:
            # Libraries of several seconds, for those alone who open a file of their own here.
            from examination.examine import examine  # noqa: PLC0415  as the comment says

            examined = examine(submission.content, submission.sample, order)
    except RefusedModel as refused:
        raise InvalidValue(str(refused)) from None
    artifact = store.put(submission.content)
    compiled = None if examined.compiled is None else store.put(examined.compiled)
    with database.transaction(EVERY_TENANT) as session:
        return _list(session, vouching, actor, name, kind, submission, examined, artifact, compiled)


def _list(
    session: Session, vouching: Vouching, actor: str, name: str, kind: Format, submission: Submission,
    examined: Examined, artifact: str, compiled: str | None,
) -> Version:  # fmt: skip
    version_name, alias = _check_names(session, name, submission)
    now = datetime.now(UTC)
    model = find_model(session, name)
    if model is None:
        model = Model(id=uuid7(), name=name, description="", is_public=False, created_at=now)
        session.add(model)
    model.is_public = model.is_public or submission.is_public
    model.description = submission.description or model.description
    session.flush()
    row = Version(
        id=uuid7(), model_id=model.id, name=version_name, status="active", format=kind, artifact_sha256=artifact,
        compiled_sha256=compiled, compilation=replace(examined.report, compiled_sha256=compiled).to_stored(),
        row_schema=examined.row_schema, created_at=now,
    )  # fmt: skip
    row.mac = vouching.version_mac(version_facts(row))
    session.add(row)
    session.flush()
    if alias is not None:
        at = find_alias(session, model_id=model.id, name=alias)
        if at is None:
            session.add(Alias(model_id=model.id, name=alias, version_id=row.id, share=0, history=[], changed_at=now))
        else:
            move_alias(at, row.id)
    announce_model(session, actor, "model.register", model, version=version_name, alias=alias, artifact_sha256=artifact)
    return row


def _check_words(submission: Submission) -> None:
    """Raises `InvalidValue` for what could not be stored, before a process is started for it."""
    description = submission.description or ""
    if len(description) > MAX_DESCRIPTION or not is_storable(description):
        raise InvalidValue(f"a description has at most {MAX_DESCRIPTION} characters, of Unicode and without NUL")
    try:
        if submission.schema is not None:
            check_given(submission.schema)
    except RefusedSchema as refused:
        raise InvalidValue(str(refused)) from None


def _check_names(session: Session, name: str, submission: Submission) -> tuple[str, str | None]:
    """The version's name and the alias that it gets. Raises `InvalidValue` or `NameTaken`."""
    model = find_model(session, name)
    taken = version_names_of(session, model_id=model.id) if model else set()
    aliases = {alias.name for alias in aliases_of(session, model_id=model.id)} if model else set()
    version = submission.version or _next_number(taken)
    alias = submission.alias or (None if PRODUCTION in aliases or taken else PRODUCTION)
    checked_name(version)
    if version in taken:
        raise NameTaken(f"the model {name} has a version {version} already")
    if version in aliases | {PRODUCTION, alias}:
        raise InvalidValue(f"a version may not be named like an alias, and {version} is one")
    if alias is not None:
        checked_name(alias)
        if alias in taken:
            raise InvalidValue(f"an alias may not be named like a version, and {alias} is one")
    return version, alias


def _next_number(taken: set[str]) -> str:
    return str(1 + max((int(name) for name in taken if name.isascii() and name.isdigit()), default=0))
