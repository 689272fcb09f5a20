"""Registers the bundled models that are missing, and repairs those whose code a downgrade of the schema dropped."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from admin.changes import Actor, change_by
from admin.facts import WrongState
from admin.models.access import announce_model, named_model
from admin.models.registration import Submission, Vouching, register_version
from db.catalogue import CatalogueEntry, find_version, read_catalogue
from db.database import Database
from db.reach import EVERY_TENANT
from examination.orders import Order
from inference.files.artifacts import ArtifactStore
from inference.listings import PRODUCTION, version_facts

if TYPE_CHECKING:
    from examination.bundled import Bundled

NAMES = frozenset({"iris", "wine", "diabetes"})


@dataclass(frozen=True, slots=True)
class Settled:
    """The names of the bundled models that were registered, and of those that were repaired."""

    registered: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """The database and files in which models are registered, and the actor who does it."""

    database: Database
    store: ArtifactStore
    vouching: Vouching
    actor: Actor

    def register(self, each: Bundled, submission: Submission) -> None:
        # Our own models are opened here: another process would cost the first start seconds.
        register_version(
            self.database,
            self.store,
            self.vouching,
            actor=self.actor,
            name=each.name,
            submission=submission,
            is_apart=False,
        )


def register_bundled(database: Database, store: ArtifactStore, vouching: Vouching, *, actor: Actor) -> Settled:
    """Registers the bundled models that are missing, for all tenants, and repairs their lost versions.

    A version is lost when the schema was downgraded and upgraded again: its code is gone, and it is never loaded.
    Raises `WrongState` for a lost version that is not the bundled model.
    """
    with database.reading(EVERY_TENANT) as session:
        entries = read_catalogue(session)
    missing = NAMES - entries.keys()
    lost = {name for name in NAMES & entries.keys() if _lost(entries[name])}
    settled = Settled()
    if not missing and not lost:
        return settled
    # Training takes seconds, and so do imports of its libraries: only a first start pays.
    from examination import bundled  # noqa: PLC0415  as the comment says

    catalogue = _Catalogue(database, store, vouching, actor)
    for each in bundled.train():
        if each.name in missing:
            catalogue.register(each, _submission(each))
            settled.registered.append(each.name)
        elif each.name in lost and _repair(catalogue, each, entries[each.name]):
            settled.repaired.append(each.name)
    return Settled(sorted(settled.registered), sorted(settled.repaired))


def _lost(entry: CatalogueEntry) -> list[str]:
    return [name for name, version in entry.versions.items() if not version.mac]


def _submission(each: Bundled) -> Submission:
    import joblib  # noqa: PLC0415  with the training, which only a first start pays

    from examination.columns.samples import sample_bytes  # noqa: PLC0415  as above

    file = io.BytesIO()
    joblib.dump(each.estimator, file)
    return Submission(
        f"{each.name}.joblib",
        file.getvalue(),
        sample_name=f"{each.name}.csv",
        sample=sample_bytes(each.features, each.sample),
        schema=each.schema,
        version="1",
        is_public=True,
        description=each.description,
    )


def _repair(catalogue: _Catalogue, each: Bundled, entry: CatalogueEntry) -> bool:
    """Vouches again for the lost version that has the same file, or registers its successor. Raises `WrongState`.

    This believes nothing that the database says of the lost version but its name: the file is made here.
    """
    submission = _submission(each)
    sha256 = hashlib.sha256(submission.content).hexdigest()
    names = _lost(entry)
    same = next((name for name in names if entry.versions[name].artifact_sha256 == sha256), None)
    if same is not None:
        _vouch_again(catalogue, each, submission, same)
        return True
    if entry.model.description != each.description:
        raise WrongState(
            f"version {names[0]} of {each.name} lost its code in a downgrade, and is not the bundled model: register"
            f" its file again, with --alias {PRODUCTION}"
        )
    at = entry.aliases.get(PRODUCTION)
    if at is None or not entry.versions[entry.version_names()[at.version_id]].mac:
        # Other libraries make another file, and a version never changes: this registers a new version.
        catalogue.register(each, replace(submission, version=None, alias=PRODUCTION))
        return True
    return False


def _vouch_again(catalogue: _Catalogue, each: Bundled, submission: Submission, version: str) -> None:
    from examination.examine import examine  # noqa: PLC0415  with the training, which only a first start pays

    order = Order("joblib", sample_name=submission.sample_name, given=submission.schema)
    examined = examine(submission.content, submission.sample, order)
    catalogue.store.put(submission.content)
    compiled = None if examined.compiled is None else catalogue.store.put(examined.compiled)
    with change_by(catalogue.database, catalogue.actor, EVERY_TENANT) as session:
        model = named_model(session, each.name)
        row = find_version(session, model_id=model.id, name=version, is_held=True)
        if row is None:
            raise WrongState(f"version {version} of {each.name} is gone")
        row.format, row.compiled_sha256, row.row_schema = order.format, compiled, examined.row_schema
        row.artifact_sha256 = hashlib.sha256(submission.content).hexdigest()
        row.compilation = replace(examined.report, compiled_sha256=compiled).to_stored()
        row.mac = catalogue.vouching.version_mac(version_facts(row))
        announce_model(
            session, catalogue.actor, "model.repair", model, version=version, artifact_sha256=row.artifact_sha256
        )
