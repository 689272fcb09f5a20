"""The parts that commands use: settings, database, keyring, model files."""

from __future__ import annotations

import getpass
import typing
from functools import cached_property

import migrations
from admin.changes import Operator
from auth.keyring import Keyring
from db.database import Database
from inference.files.artifacts import ArtifactStore
from inference.files.own_code import OwnCode, own_code
from program.settings import Settings, read_settings

if typing.TYPE_CHECKING:
    from inference.loading import Loader


class Context:
    """Opens each part when a command first asks for it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()

    @cached_property
    def database(self) -> Database:
        """The database, at this program's schema. Raises `SchemaOutOfDate` or `DatabaseUnavailable`."""
        database = Database(self.settings.database_url)
        migrations.check(database)
        return database

    @cached_property
    def keyring(self) -> Keyring:
        settings = self.settings
        return Keyring(self.database, settings.secret_bytes(), settings.previous_secret_bytes())

    @cached_property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.settings.models_dir)

    @cached_property
    def loader(self) -> Loader:
        """Loads a version as a server would."""
        from program.assembly import loader_of  # noqa: PLC0415  scikit-learn and ONNX take a second to import

        return loader_of(self.settings, self.keyring, self.store)

    @cached_property
    def own_code(self) -> OwnCode:
        """The modules of operators' own that models need."""
        return own_code(self.settings.own_code_folders())

    @property
    def actor(self) -> Operator:
        """The operator who makes the change, by the name of their account on this machine."""
        try:
            return Operator(f"cli:{getpass.getuser()}")
        except (KeyError, OSError):
            return Operator("cli:unknown")


def several(texts: list[str] | None) -> list[str] | None:
    """Returns the values of an option that may be repeated: None without any, an empty list for `none`."""
    return [] if texts == ["none"] else texts or None
