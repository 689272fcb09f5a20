"""Changes to the keys that sign tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from admin.changes import Actor, change_by
from audit.events import record_event
from auth.keyring import Keyring
from auth.signing_keys import SIGNS_AFTER, THE_KEYS, SigningKeys, add_signing_key, retire_others
from auth.tokens import LIFE_SECONDS
from db.changes import announce
from db.database import Database
from db.reach import EVERY_TENANT

#: By then the last token that the old key signed has ended.
OVERLAP = timedelta(seconds=LIFE_SECONDS) + 2 * SIGNS_AFTER


def rotate_signing_key(database: Database, keyring: Keyring, *, actor: Actor, overlap: timedelta = OVERLAP) -> str:
    """Makes a new key, which signs from now on, and returns its `kid`; older keys are accepted for `overlap` more.

    Without an overlap every token ends at once.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        kid = add_signing_key(session, keyring)
        retired = retire_others(session, overlap)
        seconds = int(overlap.total_seconds())
        record_event(
            session,
            actor=actor.subject,
            verb="signing-key.rotate",
            object_id=kid,
            overlap_seconds=seconds,
            retired=retired,
        )
        announce(session, "signing-keys", THE_KEYS)
    return kid


def list_signing_keys(database: Database, keyring: Keyring) -> list[dict[str, Any]]:
    """Returns every key, retired ones too, the newest last."""
    keys, now = SigningKeys(database, keyring), datetime.now(UTC)
    signs = keys.signs()
    return [
        {
            "kid": key.kid,
            "status": "retired" if key.is_retired(now) else "signs" if key is signs else "accepted",
            "created_at": key.created_at,
            "retired_at": key.retired_at,
        }
        for key in keys.all()
    ]
