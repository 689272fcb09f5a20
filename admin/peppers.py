"""Changes to the peppers that keys are digested with."""

from __future__ import annotations

import os
from typing import Any

from admin.changes import Actor, change_by
from audit.events import record_event
from auth.keyring import KEY_BYTES, PEPPER, Keyring
from db.changes import announce
from db.database import Database
from db.keys import secrets_by_pepper
from db.reach import EVERY_TENANT


def rotate_pepper(database: Database, keyring: Keyring, *, actor: Actor) -> int:
    """Adds a pepper and returns its number.

    New digests are made with it, and an old digest moves to it when its key is next used.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        row = keyring.add(session, PEPPER, os.urandom(KEY_BYTES))
        record_event(session, actor=actor.subject, verb="pepper.rotate", object_id=str(row.number))
        announce(session, "peppers", str(row.number))
    keyring.reload()
    return row.number


def list_peppers(database: Database, keyring: Keyring) -> list[dict[str, Any]]:
    """Returns every pepper, the newest last, with the number of secrets that are still digested under it."""
    with database.reading(EVERY_TENANT) as session:
        rows = [row for row, _ in keyring.open(session, PEPPER)]
        secrets = secrets_by_pepper(session, tenant_id=EVERY_TENANT)
    return [{"number": row.number, "secrets": secrets.get(row.number, 0), "created_at": row.created_at} for row in rows]
