"""`adyton up`: makes the missing parts of everything that a first hour needs, before the server starts."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

import orjson

from admin.changes import Operator
from admin.key_terms import KeyTerms
from admin.keys import issue_key
from admin.tenants import create_tenant
from admin.users import create_user
from auth.principal import Role, Scope
from cli.context import Context
from cli.database_commands import upgrade_database
from db.keys import find_credential
from db.paging import WHOLE
from db.reach import EVERY_TENANT
from db.tenants import find_tenant
from db.users import page_of_users
from program.settings import DEFAULT_SECRET_FILE, Settings, read_settings

ACTOR = Operator("adyton up")
DEMO_TENANT = "demo"
DEMO_FILE = Path("var/demo.env")
KEY = "ADYTON_DEMO_KEY"


def prepare() -> tuple[Settings, dict[str, str]]:
    """Makes the missing parts; returns the settings to serve with, and the new secrets by name."""
    from admin.models.bundled import register_bundled  # noqa: PLC0415  other commands need not wait for numpy

    env_file = Path(".env")
    settings = read_settings(env_file=env_file if env_file.is_file() else None)
    if settings.secret is None and settings.secret_file is None:
        _make_secret()
    upgrade_database(settings)
    context = Context(settings)
    register_bundled(context.database, context.store, context.keyring, actor=ACTOR)
    kept = _kept()
    made = _make_demo_key(context, kept) | _make_people(context)
    if made:
        _write_private(DEMO_FILE, "".join(f"{name}={value}\n" for name, value in (kept | made).items()))
    return settings, made


def curl_line(host: str, port: int, raw_key: str | None) -> str:
    """Returns a command that asks for a prediction; without `raw_key` the command reads the key from `var/demo.env`."""
    row = orjson.dumps({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}).decode()
    key = raw_key or f"$(sed -n 's/^ADYTON_DEMO_KEY=//p' {DEMO_FILE})"
    shown_host = f"[{host}]" if ":" in host else host
    url = f"http://{shown_host}:{port}/v1/models/iris/predict"
    return f'curl -s {url} -H "X-API-Key: {key}" -H "Content-Type: application/json" -d {shlex.quote(row)}'


def _make_secret() -> None:
    if not DEFAULT_SECRET_FILE.exists():
        _write_private(DEFAULT_SECRET_FILE, secrets.token_urlsafe(48) + "\n")


def _make_demo_key(context: Context, kept: dict[str, str]) -> dict[str, str]:
    with context.database.reading(EVERY_TENANT) as session:
        has_tenant = find_tenant(session, DEMO_TENANT, tenant_id=EVERY_TENANT) is not None
        digests = context.keyring.digests(kept[KEY].encode()) if KEY in kept else ()
        found = find_credential(session, digests, tenant_id=EVERY_TENANT)
        if found is not None and found.key.revoked_at is None and found.tenant.status == "active":
            return {}
    if not has_tenant:
        create_tenant(context.database, context.keyring, actor=ACTOR, name=DEMO_TENANT)
    terms = KeyTerms(label="made by adyton up", scopes=list(Scope))
    issued = issue_key(
        context.database, context.keyring, actor=ACTOR, tenant=DEMO_TENANT, terms=terms, tenant_id=EVERY_TENANT
    )
    return {KEY: issued.raw_key}


def _make_people(context: Context) -> dict[str, str]:
    """Makes a first admin and a first auditor, unless somebody has that role; returns their names and passwords."""
    made: dict[str, str] = {}
    with context.database.reading(EVERY_TENANT) as session:
        roles = {user.role for user, _ in page_of_users(session, WHOLE, tenant_id=EVERY_TENANT).rows}
    for role in Role:
        if role in roles:
            continue
        email = f"{role}@example.com"
        # No other person knows this password: only the account that started the quickstart can read the file.
        user = create_user(context.database, actor=ACTOR, email=email, role=role, must_change_password=False)
        made |= {f"ADYTON_{role.upper()}_EMAIL": email, f"ADYTON_{role.upper()}_PASSWORD": user.password}
    return made


def _kept() -> dict[str, str]:
    """Returns the content of `var/demo.env`."""
    lines = DEMO_FILE.read_text().splitlines() if DEMO_FILE.is_file() else []
    return {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}


def _write_private(path: Path, text: str) -> None:
    """Writes a file that no other account can read, from its first moment on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
