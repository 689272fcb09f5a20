"""The prediction log of a run's tenants, read by its auditor over HTTP."""

from __future__ import annotations

import time
from typing import Any, NamedTuple
from urllib.parse import urlencode

from locustfiles.agreement import Agreement
from locustfiles.client import Client

#: Refusals that repeat within a second are joined, and written once it is over.
JOINING_SECONDS = 2.0


class Entry(NamedTuple):
    """One record, as far as the judge needs it."""

    request_id: str
    tenant: str
    key_id: str
    outcome: str
    rows: int
    count: int


def read_log(url: str, agreement: Agreement) -> list[Entry]:
    """Every record of the run's tenants; they are its own, so that no instants need be compared."""
    time.sleep(JOINING_SECONDS)
    auditor = Client.signed_in(url, agreement.people["auditor"])
    return [_entry(each) for tenant in agreement.tenants for each in _records(auditor, tenant)]


def _records(auditor: Client, tenant: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        query = {"tenant": tenant, "limit": 1000} | ({"after": after} if after else {})
        page = auditor.json("GET", f"/audit/predictions?{urlencode(query)}")
        found += page["records"]
        after = page["next"]
        if after is None:
            return found


def _entry(record: dict[str, Any]) -> Entry:
    names = ("request_id", "tenant", "key_id", "outcome", "rows", "count")
    return Entry(*(record[name] or "" if name == "key_id" else record[name] for name in names))
