"""100,000 tenants with one key each, called in random order, beside ten of them: the cost of remembering them.

    python -m benchmarks.tenants [--tenants 100000] [--rounds 7] [--requests 10000]

The server runs on one core, the client on the other. Every key is called once; then, in turn, ten keys and all keys in
random order are called equally often. It compares the medians of processor time per answer, and fails past 1.1 times.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from auth import api_keys
from auth.keyring import Keyring
from benchmarks import load, servers
from benchmarks.gaps import ROW
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Key, KeySecret, Plan, PolicyRow, Tenant, WrappedSecret
from values.ids import uuid7

CONNECTIONS = 32
AT_ONCE = 5000
MOST = 1.1


def make_tenants(directory: Path, count: int) -> list[str]:
    """Makes tenants on the measured plan, each with one key that has its own limit; returns the keys."""
    database = Database(f"sqlite:///{directory}/var/adyton.db")
    keyring = Keyring(database, servers.SECRET.encode())
    raw_keys = [api_keys.mint() for _ in range(count)]
    for start in range(0, count, AT_ONCE):
        _insert(database, keyring, raw_keys[start : start + AT_ONCE])
    database.dispose()
    return raw_keys


def _insert(database: Database, keyring: Keyring, raw_keys: list[str]) -> None:
    now = datetime.now(UTC)
    with database.transaction(EVERY_TENANT) as session:
        plan_id = session.scalars(select(Plan.id).where(Plan.name == "measured")).one()
        made = [(raw_key, api_keys.key_id_of(raw_key.encode()), uuid7()) for raw_key in raw_keys]
        tables: dict[type, list[dict[str, object]]] = {
            Tenant: [],
            WrappedSecret: [],
            Key: [],
            KeySecret: [],
            PolicyRow: [],
        }
        for raw_key, key_id, tenant_id in made:
            pepper_id, digest = keyring.newest_digest(raw_key)
            tables[Tenant].append(
                {"id": tenant_id, "name": tenant_id, "plan_id": plan_id, "status": "active", "created_at": now}
            )
            keyring.make_fingerprint_key(session, tenant_id=tenant_id)
            tables[Key].append(
                {"id": key_id, "tenant_id": tenant_id, "label": "", "scopes": ["predict"], "created_at": now}
            )
            tables[KeySecret].append(
                {"id": uuid7(), "digest": digest, "key_id": key_id, "pepper_id": pepper_id, "created_at": now}
            )
            limit = {"unit": "requests", "amount": 10**9, "window_seconds": 3600}
            tables[PolicyRow].append({"id": uuid7(), "name": "key-requests-3600", "key_id": key_id} | limit)
        wrapped = list(session.new)
        session.expunge_all()
        tables[WrappedSecret] = [
            {
                column: getattr(row, column)
                for column in ("id", "purpose", "number", "tenant_id", "wrapped", "created_at")
            }
            for row in wrapped
        ]
        for table, rows in tables.items():
            session.execute(insert(table), rows)


def requests(raw_keys: list[str]) -> Iterator[bytes]:
    """One prediction's request for each of the keys."""
    return (load.post("/v1/models/iris/predict", ROW, {"X-API-Key": raw_key}) for raw_key in raw_keys)


def cost(server: servers.Server, raw_keys: list[str]) -> float:
    """Processor time per answer, in µs."""
    before = server.cpu_seconds()
    result = load.run(server.port, requests(raw_keys), connections=CONNECTIONS)
    if set(result.statuses) != {200}:
        raise RuntimeError(f"not all answered: {dict(result.statuses)}")
    return (server.cpu_seconds() - before) / len(raw_keys) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with tempfile.TemporaryDirectory() as directory, servers.adyton(8903, Path(directory)) as server:
        raw_keys = make_tenants(Path(directory), options.tenants)
        cost(server, raw_keys[:10] * 200)
        memory = server.memory_bytes()
        first = cost(server, raw_keys)
        remembered = (server.memory_bytes() - memory) / len(raw_keys)
        few, all_, order = [], [], random.Random(7)
        for _ in range(options.rounds):
            few.append(cost(server, order.choices(raw_keys[:10], k=options.requests)))
            all_.append(cost(server, order.choices(raw_keys, k=options.requests)))
    ratio = statistics.median(all_) / statistics.median(few)
    print("| keys | CPU µs each |\n|---|---|")
    print(f"| 10 | {statistics.median(few):.0f} |\n| {len(raw_keys)} | {statistics.median(all_):.0f} |")
    print(f"| {len(raw_keys)}, each for the first time | {first:.0f} |")
    print(f"\n{ratio:.3f} times; {remembered:.0f} bytes for each remembered key, with its limits.")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
