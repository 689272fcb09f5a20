"""Queries on tokens that somebody ended before they expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.tables import RevokedToken

FORGOTTEN_AFTER = timedelta(minutes=5)


def is_revoked(session: Session, token_id: str) -> bool:
    return session.scalar(select(RevokedToken.id).where(RevokedToken.id == token_id)) is not None


def add_revoked(session: Session, token_id: str, expires_at: datetime) -> bool:
    """Remembers a token as ended until it expires; returns False if it was ended already."""
    # Forgets expired tokens a little later: another machine's clock may be behind this one's.
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < datetime.now(UTC) - FORGOTTEN_AFTER))
    if is_revoked(session, token_id):
        return False
    session.add(RevokedToken(id=token_id, expires_at=expires_at))
    return True
