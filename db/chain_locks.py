"""The lock that a chain's writer holds on PostgreSQL, for as long as its connection lives."""

from __future__ import annotations

import hashlib
import time

from sqlalchemy import Connection

_POSTGRESQL_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
    " AND classid = (%s::bigint & 4294967295)::oid AND objid = (%s::bigint & 4294967295)::oid"
    " AND pid <> pg_backend_pid()"
)


def has_lock(connection: Connection, chain_id: str, within_seconds: float = 0.0) -> bool:
    """Takes the chain's lock, from any connection that still has it; each holds it until it ends.

    A backend whose client is gone may still be busy with the last commit, whose fate is unknown until the backend has
    ended.
    """
    high, low = _lock_of(chain_id)
    deadline = time.monotonic() + within_seconds
    connection.exec_driver_sql(_POSTGRESQL_END_OTHERS, (high, low))
    while not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s, %s)", (high, low)).scalar():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _lock_of(chain_id: str) -> tuple[int, int]:
    """Returns two signed 32-bit numbers made from a chain's id: the name of an advisory lock in PostgreSQL."""
    number = hashlib.sha256(chain_id.encode()).digest()
    return int.from_bytes(number[:4], "big", signed=True), int.from_bytes(number[4:8], "big", signed=True)
