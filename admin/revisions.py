"""Two who change one thing at once: the second is told, instead of overwriting the first unseen."""

from __future__ import annotations

from sqlalchemy.orm.attributes import flag_modified

from db.database import ChangedMeanwhile
from db.tables import Alias, Key, Plan, Tenant, User


def check_revision(row: Alias | Key | Plan | Tenant | User, revision: int | None) -> None:
    """Raises `ChangedMeanwhile` unless the row is at `revision`, where one is named."""
    if revision is not None and revision != row.revision:
        raise ChangedMeanwhile(f"it is at revision {row.revision}, not {revision}: look at it again")


def revise(row: Alias | Key | Plan | Tenant | User, revision: int | None) -> None:
    """Counts the row's revision up with this change, even where only its limits change.

    Raises `ChangedMeanwhile` unless the row is at `revision`, where one is named. Two transactions that both read the
    same revision are told apart by the database.
    """
    check_revision(row, revision)
    flag_modified(row, "changed_at" if isinstance(row, Alias) else "created_at")
