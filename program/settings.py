"""Every setting, typed, from environment variables; no other file reads them. docs/settings.md describes each."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from inference.files.own_code import is_libraries
from program.origins import check_origin
from quotas.shared.server import Address

MIN_SECRET_BYTES = 32
_TOO_WEAK = 8
_ROOT_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
#: `adyton up` keeps the secret that it makes here. Other commands find it here; `adyton serve` does not look.
DEFAULT_SECRET_FILE = Path("var/secret")


class InvalidSettings(Exception):
    """A setting is missing or wrong. The message names the setting and says why; it never holds the value."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _checked_redis(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        Address(url.get_secret_value())
    return url


def _checked_origins(origins: list[str]) -> list[str]:
    for number, origin in enumerate(origins, 1):
        try:
            check_origin(origin)
        except ValueError as error:
            raise ValueError(f"origin {number} of {len(origins)} {error}") from None
    return origins


class Settings(BaseSettings):
    """`ADYTON_` + the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ADYTON_", extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: str = "sqlite:///var/adyton.db"
    database_owner_url: str | None = None
    models_dir: Path = Path("var/models")
    default_model: str = "iris"
    max_model_bytes: int = Field(64 << 20, ge=1)
    max_loaded_bytes: int = Field(2 << 30, ge=1)
    registration_seconds: float = Field(600.0, gt=0)
    batching: bool = True
    models_path: Annotated[list[Path], NoDecode, BeforeValidator(_split_paths)] = []
    skops_trusted: Annotated[list[str], NoDecode, BeforeValidator(_split)] = []
    secret: SecretStr | None = None
    secret_file: Path | None = None
    secret_previous: SecretStr | None = None
    password_login: bool = True
    max_body_bytes: int = Field(1 << 20, ge=1)
    max_head_bytes: int = Field(64 << 10, ge=1024)
    max_batch_rows: int = Field(1000, ge=1)
    request_timeout_seconds: float = Field(30.0, gt=0)
    shutdown_seconds: float = Field(30.0, ge=0)
    trusted_proxies: Annotated[list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_split)] = []
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    redis_url: Annotated[SecretStr | None, AfterValidator(_checked_redis)] = None
    cors_origins: Annotated[list[str], NoDecode, BeforeValidator(_split), AfterValidator(_checked_origins)] = []
    root_path: str = ""
    max_connections: int | None = Field(None, ge=1)
    max_connections_per_address: int | None = Field(None, ge=1)
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("a database is sqlite:///path or postgresql+psycopg://...")
        return url

    @field_validator("root_path")
    @classmethod
    def _path(cls, path: str) -> str:
        if path and not _ROOT_PATH.fullmatch(path):
            raise ValueError("a root path is /segment, or several; letters, digits and -._~ only, no slash at its end")
        return path

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("ADYTON_SECRET and ADYTON_SECRET_FILE are both set: set one of them")
        return self

    def secret_bytes(self) -> bytes:
        """The secret that wraps every other. Raises `InvalidSettings` if it is missing or weak."""
        secret = self._read_secret_file() if self.secret is None else self.secret.get_secret_value().encode()
        if len(secret) < MIN_SECRET_BYTES or len(set(secret)) < _TOO_WEAK:
            raise InvalidSettings(f"the secret must have at least {MIN_SECRET_BYTES} bytes and not be a pattern")
        return secret

    def require_own_secret(self) -> None:
        """Raises `InvalidSettings` unless the environment names a secret."""
        if self.secret is None and self.secret_file is None:
            raise InvalidSettings(
                "ADYTON_SECRET or ADYTON_SECRET_FILE must be set: `openssl rand -base64 48` makes one"
            )

    def _read_secret_file(self) -> bytes:
        path = self.secret_file or DEFAULT_SECRET_FILE
        if self.secret_file is None and not path.exists():
            self.require_own_secret()
        try:
            return path.read_bytes().strip()
        except OSError as error:
            raise InvalidSettings(f"ADYTON_SECRET_FILE cannot be read: {error.strerror}") from None

    def own_code_folders(self) -> list[Path]:
        """The folders of operators' own code, by their absolute paths. Raises `InvalidSettings`."""
        folders = [folder.resolve() for folder in self.models_path]
        for number, folder in enumerate(folders, 1):
            place = f"ADYTON_MODELS_PATH: folder {number} of {len(folders)}"
            if not folder.is_dir():
                raise InvalidSettings(f"{place} does not exist, or is no folder")
            if is_libraries(folder):
                raise InvalidSettings(f"{place} is one of Python's or of this program's own: keep models' code apart")
        return folders

    def previous_secret_bytes(self) -> bytes | None:
        return None if self.secret_previous is None else self.secret_previous.get_secret_value().encode()


def read_settings(*, env_file: Path | None = None) -> Settings:
    """The settings from the environment, and from `env_file` if one is named. Raises `InvalidSettings`."""
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = "_".join(str(part).upper() for part in first["loc"][:1])
        name = f"ADYTON_{field}: " if field else ""
        raise InvalidSettings(name + first["msg"].removeprefix("Value error, ")) from None
