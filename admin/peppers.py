"""Changes to the peppers that keys are digested with."""

from __future__ import annotations

import os
from typing import Any

from audit.events import record_event
from auth.keyring import KEY_BYTES, PEPPER, Keyring
from db.changes import announce
from db.database import Database
from db.keys import secrets_by_pepper
from db.reach import EVERY_TENANT


def rotate_pepper(database: Database, keyring: Keyring, *, actor: str) -> int:
    """Adds a pepper, which every new digest is made with, and an old one when its key is next used; its number."""
    with database.transaction(EVERY_TENANT) as session:
        row = keyring.add(session, PEPPER, os.urandom(KEY_BYTES))
        record_event(session, actor=actor, verb="pepper.rotate", object_id=str(row.number))
        announce(session, "peppers", str(row.number))
    keyring.reload()
    return row.number


def list_peppers(database: Database, keyring: Keyring) -> list[dict[str, Any]]:
    """Every pepper, the newest last, and how many secrets are still digested under it."""
    with database.reading(EVERY_TENANT) as session:
        rows = [row for row, _ in keyring.open(session, PEPPER)]
        secrets = secrets_by_pepper(session, tenant_id=EVERY_TENANT)
    return [{"number": row.number, "secrets": secrets.get(row.number, 0), "created_at": row.created_at} for row in rows]
