"""Ending tokens before they expire."""

from __future__ import annotations

from datetime import datetime

from audit.events import record_event
from db.changes import announce
from db.database import Database
from db.keys import find_key, hold_key
from db.reach import EVERY_TENANT
from db.revoked_tokens import add_revoked
from db.users import find_user, hold_user
from values.subjects import Subject


def end_token(database: Database, *, subject: Subject, token_id: str, expires_at: datetime) -> None:
    """Ends a token that was verified; within a second nothing accepts it. Ending it twice changes nothing.

    Whoever has a token may end it, whatever the standing of its holder is.
    """
    with database.transaction(EVERY_TENANT) as session:
        # Waits for changes that the holder is making with the token; later ones are refused.
        hold = hold_key if subject.kind == "key" else hold_user
        hold(session, subject.id, tenant_id=EVERY_TENANT, is_exclusive=True)
        if not add_revoked(session, token_id, expires_at):
            return
        find = find_key if subject.kind == "key" else find_user
        found = find(session, subject.id, tenant_id=EVERY_TENANT)
        tenant = found[1] if found else None
        record_event(
            session, actor=subject, verb="token.revoke", object_id=token_id, tenant_id=tenant.id if tenant else None
        )
        announce(session, "token", token_id)
