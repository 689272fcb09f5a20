"""Revisions: of two people who change one thing at once, the second is refused instead of overwriting the first."""

from __future__ import annotations

from sqlalchemy.orm.attributes import flag_modified

from db.database import ChangedMeanwhile
from db.tables import Alias, Key, Plan, Tenant, User


def check_revision(row: Alias | Key | Plan | Tenant | User, revision: int | None) -> None:
    """Raises `ChangedMeanwhile` if a revision is named and the row is at another one."""
    if revision is not None and revision != row.revision:
        raise ChangedMeanwhile(f"it is at revision {row.revision}, not {revision}: look at it again")


def revise(row: Alias | Key | Plan | Tenant | User, revision: int | None) -> None:
    """Counts the row's revision up with this change, even if only its limits change.

    Call it after the queries that the change needs: each flush of a changed row counts once. Raises
    `ChangedMeanwhile` if a revision is named and the row is at another one; of two transactions that read the same
    revision, the database refuses the second.
    """
    check_revision(row, revision)
    flag_modified(row, "changed_at" if isinstance(row, Alias) else "created_at")
