"""What commands work on: the settings, the database, the keyring, the model files."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from functools import cached_property

import migrations
from admin.facts import InvalidValue
from admin.keys import Unbounded
from api.settings import Settings, read_settings
from auth.keyring import Keyring
from db.database import Database
from inference.artifacts import ArtifactStore

_DURATION = re.compile(r"([0-9]{1,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


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
        return ArtifactStore(self.settings.models_dir, self.keyring.artifact_mac)

    @property
    def actor(self) -> str:
        """Who makes the change, as events name an operator."""
        try:
            return f"cli:{getpass.getuser()}"
        except (KeyError, OSError):
            return "cli:unknown"


def duration(text: str) -> timedelta:
    """`90d`, `24h`, `15m`, `30s`, `2w`. Raises `InvalidValue`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidValue(f"a duration is written 90d, 24h, 15m or 30s, not {text!r}")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def instant(text: str) -> datetime | Unbounded:
    """An instant in ISO 8601, in UTC unless it says otherwise, or a duration from now; `none` clears one.

    Raises `InvalidValue`.
    """
    if text == Unbounded.NONE.value:
        return Unbounded.NONE
    if _DURATION.fullmatch(text):
        return datetime.now(UTC) + duration(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"an instant is written 2026-12-31T23:59:59Z or 90d, not {text!r}") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def several(texts: list[str] | None) -> list[str] | None:
    """What an option that may be repeated was given: None if not at all, an empty list for `none`."""
    return [] if texts == ["none"] else texts or None
