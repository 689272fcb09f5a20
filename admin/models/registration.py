"""Registration of a version of a model, from a file that is examined first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session

from admin.changes import Actor, change_by, reading_by
from admin.facts import InvalidValue, NameTaken, checked_name
from admin.models.access import announce_model
from admin.models.promotion import move_alias
from admin.shown import shown_version
from db.catalogue import aliases_of, find_alias, find_model, version_names_of
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Alias, Model, Version
from examination.apart import examine_apart
from examination.columns.given_schema import RefusedSchema, check_given
from examination.orders import Examined, Order, RefusedModel
from inference.files.artifacts import ArtifactStore
from inference.files.model_files import Format, RefusedFile, format_of
from inference.listings import PRODUCTION, version_facts
from values.ids import uuid7
from values.texts import is_storable

MAX_DESCRIPTION = 2_000
#: The formats that the admin API takes: their files run no code when they are opened.
HARMLESS: tuple[Format, ...] = ("skops", "onnx")


class Vouching(Protocol):
    """The part of the keyring that registration needs: a keyed digest of a version's facts."""

    def version_mac(self, facts: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """A model's file by name and content, with the facts that the sender gives about it.

    Without `version` it gets the next number; without `alias` the first version of a model becomes `production`.
    `signed` are the features that the file was logged with, by their names or only their count: no more and no fewer.
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
    signed: Sequence[str] | int | None = None


class Registered(NamedTuple):
    """A new version; `shown` is how it is shown, and `aliases` are the aliases that name it."""

    version: Version
    shown: dict[str, Any]
    aliases: list[str]


class _Examined(NamedTuple):
    """A file that can be served, and the digests under which the store keeps it."""

    format: Format
    found: Examined
    artifact_sha256: str
    compiled_sha256: str | None


def register_version(
    database: Database,
    store: ArtifactStore,
    vouching: Vouching,
    *,
    actor: Actor,
    name: str,
    submission: Submission,
    trusted: tuple[str, ...] = (),
    models_path: Sequence[Path] = (),
    limit_seconds: float = 600.0,
    formats: tuple[Format, ...] | None = None,
    is_apart: bool = True,
) -> Registered:
    """Examines the file, stores the bytes that are loaded later, and lists the version: all of it or nothing.

    With `is_apart` a process of its own opens the file, and has `limit_seconds` for it. Raises `InvalidValue` for a
    file that cannot be served or a malformed name, `NameTaken` for a version that exists.
    """
    checked_name(name)
    try:
        kind = format_of(submission.file_name, submission.content)
    except RefusedFile as refused:
        raise InvalidValue(str(refused)) from None
    if formats is not None and kind not in formats:
        raise InvalidValue(f"this takes {' and '.join(formats)} files: others are registered on the command line")
    _check_words(submission)
    with reading_by(database, actor, EVERY_TENANT) as session:
        _check_names(session, name, submission)
    order = Order(
        format=kind,
        sample_name=submission.sample_name,
        target=submission.target,
        given=submission.schema,
        is_compiled=submission.is_compiled,
        trusted=trusted,
        models_path=[str(folder) for folder in models_path],
    )
    try:
        if is_apart:
            examined = examine_apart(submission.content, submission.sample, order, limit_seconds=limit_seconds)
        else:
            # These libraries take seconds to import: only a caller who opens a file in this process pays.
            from examination.examine import examine  # noqa: PLC0415  as the comment says

            examined = examine(submission.content, submission.sample, order)
    except RefusedModel as refused:
        raise InvalidValue(str(refused)) from None
    _check_signed(submission.signed, list(examined.row_schema["properties"]))
    artifact = store.put(submission.content)
    compiled = None if examined.compiled is None else store.put(examined.compiled)
    file = _Examined(kind, examined, artifact, compiled)
    with change_by(database, actor, EVERY_TENANT) as session:
        version_name, alias = _check_names(session, name, submission)
        model = _model(session, name, submission)
        row = _version(model, version_name, file, vouching)
        session.add(row)
        session.flush()
        if alias is not None:
            _name_by(session, alias, row)
        announce_model(
            session, actor, "model.register", model, version=version_name, alias=alias, artifact_sha256=artifact
        )
        return Registered(row, {"model": name, **shown_version(row)}, [] if alias is None else [alias])


def _model(session: Session, name: str, submission: Submission) -> Model:
    """Returns the model of that name, which is made if it does not exist."""
    model = find_model(session, name)
    if model is None:
        model = Model(id=uuid7(), name=name, description="", is_public=False, created_at=datetime.now(UTC))
        session.add(model)
    model.is_public = model.is_public or submission.is_public
    model.description = submission.description or model.description
    session.flush()
    return model


def _version(model: Model, name: str, file: _Examined, vouching: Vouching) -> Version:
    row = Version(
        id=uuid7(),
        model_id=model.id,
        name=name,
        status="active",
        format=file.format,
        artifact_sha256=file.artifact_sha256,
        compiled_sha256=file.compiled_sha256,
        compilation=replace(file.found.report, compiled_sha256=file.compiled_sha256).to_stored(),
        row_schema=file.found.row_schema,
        created_at=datetime.now(UTC),
    )
    row.mac = vouching.version_mac(version_facts(row))
    return row


def _name_by(session: Session, name: str, version: Version) -> None:
    """Lets the alias of that name, which is made if it does not exist, name the version."""
    at = find_alias(session, model_id=version.model_id, name=name)
    if at is not None:
        move_alias(at, version.id)
        return
    session.add(
        Alias(
            model_id=version.model_id,
            name=name,
            version_id=version.id,
            share=0,
            history=[],
            changed_at=version.created_at,
        )
    )


def _check_words(submission: Submission) -> None:
    """Raises `InvalidValue` for texts that cannot be stored, before a process is started for the file."""
    description = submission.description or ""
    if len(description) > MAX_DESCRIPTION or not is_storable(description):
        raise InvalidValue(f"a description has at most {MAX_DESCRIPTION} characters, of Unicode and without NUL")
    try:
        if submission.schema is not None:
            check_given(submission.schema)
    except RefusedSchema as refused:
        raise InvalidValue(str(refused)) from None


def _check_signed(signed: Sequence[str] | int | None, features: Sequence[str]) -> None:
    """Raises `InvalidValue` unless the model takes the features that it was logged with."""
    if isinstance(signed, int) and signed != len(features):
        raise InvalidValue(
            f"the signature has {signed} columns and the model takes {len(features)} features: log the model again with"
            " the signature of its own rows"
        )
    if isinstance(signed, Sequence) and (lacking := [name for name in features if name not in signed]):
        raise InvalidValue(
            f"the signature lacks features that the model takes ({', '.join(lacking[:10])}): log the model again with"
            " the signature of its own rows"
        )


def _check_names(session: Session, name: str, submission: Submission) -> tuple[str, str | None]:
    """Returns the version's name and the alias that it gets. Raises `InvalidValue` or `NameTaken`."""
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
