"""`adyton up`: everything that a first hour needs, made where it is missing, and the server."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

import orjson

import migrations
from admin.keys import KeyTerms, issue_key
from admin.models import register_bundled
from admin.tenants import create_tenant
from api.settings import DEFAULT_SECRET_FILE, Settings, read_settings
from auth.principal import Scope
from cli.context import Context
from db.database import Database
from db.keys import find_credential
from db.tenants import find_tenant

ACTOR = "adyton up"
DEMO_TENANT = "demo"
DEMO_FILE = Path("var/demo.env")


def prepare() -> tuple[Settings, str | None]:
    """Makes what is missing; returns the settings to serve with, and the demo key if it was made just now."""
    env_file = Path(".env")
    settings = read_settings(env_file=env_file if env_file.is_file() else None)
    if settings.secret is None and settings.secret_file is None:
        _make_secret()
    owner = Database(settings.database_owner_url or settings.database_url)
    migrations.upgrade(owner)
    owner.dispose()
    context = Context(settings)
    register_bundled(context.database, context.store, actor=ACTOR)
    return settings, _make_demo_key(context)


def curl_line(host: str, port: int, raw_key: str | None) -> str:
    """A command that asks for a prediction; without the key it takes it from where it is kept."""
    row = orjson.dumps({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}).decode()
    key = raw_key or f"$(sed -n 's/^ADYTON_DEMO_KEY=//p' {DEMO_FILE})"
    shown_host = f"[{host}]" if ":" in host else host
    url = f"http://{shown_host}:{port}/v1/models/iris/predict"
    return f'curl -s {url} -H "X-API-Key: {key}" -H "Content-Type: application/json" -d {shlex.quote(row)}'


def _make_secret() -> None:
    if not DEFAULT_SECRET_FILE.exists():
        _write_private(DEFAULT_SECRET_FILE, secrets.token_urlsafe(48) + "\n")


def _make_demo_key(context: Context) -> str | None:
    kept = _kept_key()
    with context.database.reading() as session:
        has_tenant = find_tenant(session, DEMO_TENANT) is not None
        found = find_credential(session, context.keyring.digests(kept.encode())) if kept else None
        if found is not None and found.key.revoked_at is None and found.tenant.status == "active":
            return None
    if not has_tenant:
        create_tenant(context.database, context.keyring, actor=ACTOR, name=DEMO_TENANT)
    terms = KeyTerms(label="made by adyton up", scopes=list(Scope))
    issued = issue_key(context.database, context.keyring, actor=ACTOR, tenant=DEMO_TENANT, terms=terms)
    _write_private(DEMO_FILE, f"ADYTON_DEMO_KEY={issued.raw_key}\n")
    return issued.raw_key


def _kept_key() -> str | None:
    if not DEMO_FILE.is_file():
        return None
    lines = DEMO_FILE.read_text().splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("ADYTON_DEMO_KEY=")), None)


def _write_private(path: Path, text: str) -> None:
    """Writes a file that nobody else may read, from its first moment on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
