"""A place where Adyton runs: a folder, settings, a migrated database with the bundled models."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import asynccontextmanager, nullcontext
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import joblib

from admin.changes import Operator
from admin.key_terms import KeyTerms
from admin.keys import issue_key, revoke_key
from admin.limits import Limits
from admin.models.access import grant_model
from admin.models.bundled import register_bundled
from admin.models.registration import Submission, register_version
from admin.plans import set_plan
from admin.tenants import create_tenant, suspend_tenant
from api.app import create_app
from auth.keyring import Keyring
from auth.principal import Scope
from cli.database_commands import upgrade_database
from db.database import Database
from db.reach import EVERY_TENANT
from examination.columns.samples import sample_bytes
from inference.files.artifacts import ArtifactStore
from program.settings import Settings
from tests.support.patience import PatientApplication

SECRET = "tests: a secret that is 32 bytes long and more, and nobody's"
IRIS = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
ACTOR = Operator("test")


def dumped(estimator) -> bytes:
    """The estimator as a joblib file."""
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return file.getvalue()


class Site:
    """One installation. `limits` of the plan that new tenants get are so high that only a key's own count."""

    def __init__(
        self, directory: Path, database_url: str | None = None, owner_url: str | None = None, **settings
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._shared, self._clients = None, 0
        self.settings = Settings(
            database_url=database_url or f"sqlite:///{directory}/adyton.db",
            database_owner_url=owner_url,
            models_dir=directory / "models",
            secret=SECRET,
            **settings,
        )

    @cached_property
    def database(self) -> Database:
        return Database(self.settings.database_url)

    @cached_property
    def owner(self) -> Database:
        """The database as its owner, who may do what the program may not: alter what is sealed."""
        return Database(self.settings.database_owner_url or self.settings.database_url)

    @cached_property
    def keyring(self) -> Keyring:
        return Keyring(self.database, SECRET.encode())

    @cached_property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.settings.models_dir)

    def prepare(self) -> Site:
        """The schema, the bundled models, and a tenant `acme` whose plan limits nothing."""
        self.upgrade()
        register_bundled(self.database, self.store, self.keyring, actor=ACTOR)
        set_plan(self.database, actor=ACTOR, name="wide", limits=Limits(["100000000/minute"], ["100000000/minute"]))
        self.tenant("acme")
        return self

    def upgrade(self) -> None:
        upgrade_database(self.settings)

    def copy_to(self, directory: Path, **settings) -> Site:
        """The same installation on SQLite in another folder; made in a moment, since nothing is trained."""
        self.database.dispose()
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)
        return Site(directory, **settings)

    def tenant(self, name: str, plan: str = "wide", **limits) -> str:
        create_tenant(self.database, self.keyring, actor=ACTOR, name=name, plan=plan, limits=Limits(**limits))
        return name

    def key(self, tenant: str = "acme", **terms) -> str:
        """A new key with every scope, unless it is told which."""
        terms.setdefault("scopes", list(Scope))
        return self.issue(tenant, **terms).raw_key

    def issue(self, tenant: str = "acme", **terms):
        terms.setdefault("scopes", list(Scope))
        return issue_key(
            self.database, self.keyring, actor=ACTOR, tenant=tenant, terms=KeyTerms(**terms), tenant_id=EVERY_TENANT
        )

    def revoke(self, key_id: str) -> None:
        revoke_key(self.database, actor=ACTOR, key_id=key_id, tenant_id=EVERY_TENANT)

    def suspend(self, name: str) -> None:
        suspend_tenant(self.database, actor=ACTOR, name=name)

    def grant(self, name: str, tenant: str) -> None:
        grant_model(self.database, actor=ACTOR, name=name, tenant=tenant)

    def model(self, name, estimator, sample, features, *, schema=None, is_public=True, **submission):
        """A version of a model made here and now, opened in this process."""
        return self.register(
            name, f"{name}.joblib", dumped(estimator), sample_name="sample.csv", sample=sample_bytes(features, sample),
            schema=schema, is_public=is_public, is_apart=False, **submission,
        )  # fmt: skip

    def register(
        self, name, file_name, content, *, is_apart=True, formats=None, limit_seconds=120, trusted=(), **submission
    ):
        return register_version(
            self.database, self.store, self.keyring, actor=ACTOR, name=name, is_apart=is_apart, formats=formats,
            limit_seconds=limit_seconds, trusted=trusted, submission=Submission(file_name, content, **submission),
        ).version  # fmt: skip

    def environment(self) -> dict[str, str]:
        """What a process needs to run here."""
        given = {
            "ADYTON_DATABASE_URL": self.settings.database_url,
            "ADYTON_MODELS_DIR": str(self.settings.models_dir),
            "ADYTON_SECRET": SECRET,
            **({"ADYTON_DATABASE_OWNER_URL": owner} if (owner := self.settings.database_owner_url) else {}),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        return dict(os.environ) | given

    @asynccontextmanager
    async def client(self, key: str | None = None):
        """A client of the whole application, in this process, with its lifespan; of the shared one, where one runs."""
        async with self._application() if self._shared is None else nullcontext(self._shared) as app:
            self._clients += 1
            # Failures are counted by address: who shares an application does not share those.
            address = "127.0.0.1" if self._shared is None else str(IPv4Address("127.1.0.0") + 256 * self._clients)
            transport = PatientApplication(app, raise_app_exceptions=False, client=(address, 50_000))
            headers = {"X-API-Key": key} if key else {}
            async with httpx.AsyncClient(transport=transport, base_url="http://adyton", headers=headers) as client:
                client.app = app
                yield client

    @asynccontextmanager
    async def sharing(self):
        """Until its end, all clients are of one application: starting and ending one takes a second."""
        async with self._application() as self._shared:
            yield self
        self._shared = None

    @asynccontextmanager
    async def _application(self):
        app = create_app(self.settings)
        async with app.router.lifespan_context(app):
            yield app

    def close(self) -> None:
        self.database.dispose()
        self.owner.dispose()
