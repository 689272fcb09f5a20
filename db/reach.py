"""The reach of a transaction and its queries: one tenant's rows, every tenant's, or no tenant's.

Queries name it by keyword and filter by it. On PostgreSQL the transaction carries it too, for row-level security
(migrations/isolation.py), which still holds if a query forgets to filter.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, text, true


class View(Enum):
    """The views that are not one tenant's. PostgreSQL shows no tenant's rows to a transaction that sets no view."""

    EVERY_TENANT = "every-tenant"
    LOOKUP = "lookup"
    NO_TENANT = ""


#: For operators, global admins and auditors, and the program's own housekeeping.
EVERY_TENANT: Final = View.EVERY_TENANT
#: To find the caller, before any tenant is known: reads keys, people and grants; no records, no events.
LOOKUP: Final = View.LOOKUP
#: For what belongs to no tenant: plans, models, the change counter.
NO_TENANT: Final = View.NO_TENANT

#: A tenant's id, or all of them.
Reach = str | Literal[View.EVERY_TENANT]


def within(column: Any, reach: Reach) -> ColumnElement[bool]:
    """Returns the condition that a row lies within the reach."""
    return true() if isinstance(reach, View) else column == reach


def confine(connection: Connection, view: str | View) -> None:
    """Tells PostgreSQL which tenant's rows it may show and accept until this transaction ends."""
    tenant, name = ("", view.value) if isinstance(view, View) else (view, "")
    # For the transaction alone: a session's setting would stay on the connection for its next user from the pool.
    connection.execute(_CONFINE, {"tenant": tenant, "view": name})


_CONFINE = text("SELECT set_config('adyton.tenant', :tenant, true), set_config('adyton.view', :view, true)")
