"""The reach of a transaction and its queries: one tenant's rows, every tenant's, or no tenant's.

Queries name it by keyword and filter by it; on PostgreSQL the transaction carries it too, for row-level security
(migrations/isolation.py), which holds where a query forgets to.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, text, true


class View(Enum):
    """The reaches that are not one tenant's. A transaction that names none of them sees no tenant's rows."""

    EVERY_TENANT = "every-tenant"
    LOOKUP = "lookup"
    NO_TENANT = ""


#: For operators, global admins and auditors, and the program's own housekeeping.
EVERY_TENANT: Final = View.EVERY_TENANT
#: For finding out who is calling, before any tenant is known: reads keys, people and grants; no records, no events.
LOOKUP: Final = View.LOOKUP
#: For what belongs to no tenant: plans, models, the change counter.
NO_TENANT: Final = View.NO_TENANT

#: A tenant's id, or all of them.
Reach = str | Literal[View.EVERY_TENANT]


def within(column: Any, reach: Reach) -> ColumnElement[bool]:
    """The condition that a row belongs to the tenant."""
    return true() if isinstance(reach, View) else column == reach


def confine(connection: Connection, view: str | View) -> None:
    """Tells PostgreSQL whose rows it may show and take until this transaction ends."""
    tenant, name = ("", view.value) if isinstance(view, View) else (view, "")
    # Local: a session's setting would go on with the connection to whoever takes it from the pool next.
    connection.execute(_CONFINE, {"tenant": tenant, "view": name})


_CONFINE = text("SELECT set_config('adyton.tenant', :tenant, true), set_config('adyton.view', :view, true)")
