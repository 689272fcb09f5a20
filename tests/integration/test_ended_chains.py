"""A chain whose writer is known to have ended is cited for good at once, and never while it can still grow."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from sqlalchemy import select

from audit.verification import faults
from audit.writer import LogWriter
from db import log_store
from db.chain_locks import has_lock
from db.reach import EVERY_TENANT
from db.tables import Chain
from tests.support.patience import SECONDS
from values.ids import uuid7

pytestmark = pytest.mark.anyio


async def run_one(database, **options) -> str:
    """A writer from its start to its end; returns its chain."""
    chain_id = uuid7()
    writer = LogWriter(database, chain_id=chain_id, **options)
    writer.start(asyncio.get_running_loop())
    await asyncio.to_thread(writer.close, SECONDS)
    return chain_id


def cited_by(database, chain_id) -> str | None:
    with database.reading(EVERY_TENANT) as session:
        return session.execute(select(Chain.cited_by).where(Chain.id == chain_id)).scalar_one()


async def test_a_chain_that_has_ended_is_cited_at_once(any_site):
    """A chain that may be alive is not, for a minute."""
    database = any_site.database
    ended, silent = await run_one(database), await run_one(database)
    successor = await run_one(database, ended=[ended])
    assert cited_by(database, ended) == successor
    assert cited_by(database, silent) is None
    assert not list(faults(database))


async def test_a_chain_whose_commit_may_be_under_way_is_not_cited(postgres_site, monkeypatch):
    """The process has ended, but PostgreSQL still works for it: its last head is not known yet."""
    database = postgres_site.database
    ended = await run_one(database)
    monkeypatch.setattr(log_store, "ENDED_WITHIN_SECONDS", 0.1)
    with database.connect() as connection:
        assert has_lock(connection, ended)
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        os.kill(backend, signal.SIGSTOP)
        try:
            await run_one(database, ended=[ended])
            assert cited_by(database, ended) is None
        finally:
            os.kill(backend, signal.SIGCONT)
        connection.invalidate()
    successor = await run_one(database, ended=[ended])
    assert cited_by(database, ended) == successor
