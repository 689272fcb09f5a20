"""Reads the rows of a database, and waits until every process has followed its changes."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import func, select

from db.reach import EVERY_TENANT
from db.tables import Base


async def follow():
    """Waits until every process has read the change counter, which it does four times a second."""
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def contents(site, *tables):
    """Returns every row of these tables; without names, of all tables but those that signing in or following writes."""
    ignored = {"sign_in_failures", "chains", "alembic_version"}
    with site.database.reading(EVERY_TENANT) as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            if table.name in (tables or {each.name for each in Base.metadata.sorted_tables} - ignored):
                found[table.name] = sorted(map(str, session.execute(select(table))))
        assert session.scalar(select(func.count()).select_from(Base.metadata.tables["tenants"]))
    return found
