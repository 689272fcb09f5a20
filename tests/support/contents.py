"""What a database holds, and when every process has followed it."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from db.reach import EVERY_TENANT
from db.tables import Base


async def follow():
    """Until every process obeys a change: one without news for a second lets nobody in, and clients ask again."""
    await asyncio.sleep(1)


def contents(site, *tables):
    """Every row of these tables, or of all but those that signing in or following writes."""
    ignored = {"sign_in_failures", "chains", "alembic_version"}
    with site.database.reading(EVERY_TENANT) as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            if table.name in (tables or {each.name for each in Base.metadata.sorted_tables} - ignored):
                found[table.name] = sorted(map(str, session.execute(select(table))))
        assert session.scalar(select(func.count()).select_from(Base.metadata.tables["tenants"]))
    return found
