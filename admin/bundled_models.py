"""Registration of the bundled models, which the first start trains."""

from __future__ import annotations

import io

from admin.changes import Actor
from admin.registration import Submission, Vouching, register_version
from db.catalogue import read_catalogue
from db.database import Database
from db.reach import EVERY_TENANT
from examination import bundled
from examination.samples import sample_bytes
from inference.artifacts import ArtifactStore


def register_bundled(database: Database, store: ArtifactStore, vouching: Vouching, *, actor: Actor) -> list[str]:
    """Registers the bundled models that are missing, for all tenants; returns their names."""
    with database.reading(EVERY_TENANT) as session:
        missing = bundled.NAMES - set(read_catalogue(session))
    if not missing:
        return []
    import joblib  # noqa: PLC0415  only the first start trains models, and pays for this import

    for each in bundled.train():
        if each.name in missing:
            file = io.BytesIO()
            joblib.dump(each.estimator, file)
            submission = Submission(
                f"{each.name}.joblib",
                file.getvalue(),
                sample_name=f"{each.name}.csv",
                sample=sample_bytes(each.features, each.sample),
                schema=each.schema,
                version="1",
                is_public=True,
                description=each.description,
            )
            # Our own models are opened in this process: another one would cost the first start seconds.
            register_version(
                database, store, vouching, actor=actor, name=each.name, submission=submission, is_apart=False
            )
    return sorted(missing)
