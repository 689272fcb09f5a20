"""What commands work on: the settings, the database, the keyring, the model files."""

from __future__ import annotations

import getpass
import typing
from functools import cached_property

import migrations
from auth.keyring import Keyring
from db.database import Database
from inference.artifacts import ArtifactStore
from program.settings import Settings, read_settings

if typing.TYPE_CHECKING:
    from inference.loading import Loader


class Context:
    """Opened as far as a command asks for it."""

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
        """What loads a version as a server would."""
        from program.assembly import loader_of  # noqa: PLC0415  scikit-learn and ONNX take a second

        return loader_of(self.settings, self.keyring, self.store)

    @property
    def actor(self) -> str:
        """Who makes the change, as events name an operator."""
        try:
            return f"cli:{getpass.getuser()}"
        except (KeyError, OSError):
            return "cli:unknown"


def several(texts: list[str] | None) -> list[str] | None:
    """What an option that may be repeated was given: None if not at all, an empty list for `none`."""
    return [] if texts == ["none"] else texts or None
