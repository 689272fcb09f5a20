"""Admins and auditors at work while partners predict."""

from __future__ import annotations

import time
from typing import Any

import gevent
from locust import constant, task

from locustfiles.agreement import Key
from locustfiles.users import Asker, agreement, answers

#: A revoked key is refused everywhere within a second; the machine may be busy, too.
REVOKED_SECONDS = 2.0


class Person(Asker):
    """Signs in once; the token lives longer than a run should take."""

    abstract = True
    role = ""
    weight = 1
    right = frozenset({200, 201})

    def on_start(self) -> None:
        human = agreement.people[self.role]
        form = {"grant_type": "password", "username": human.email, "password": human.password}
        with self.client.post("/auth/token", data=form, name=f"{self.role}: sign in", catch_response=True) as response:
            self._token = (response.json() or {}).get("access_token", "") if response.status_code == 200 else ""
            if self._token:
                response.success()

    def act(self, kind: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self.ask(f"{self.role}: {kind}", method, path, body=body, headers=headers)[1]


class Admin(Person):
    """Issues keys, changes and revokes them; looks at what there is."""

    role = "admin"
    wait_time = constant(1)

    @task
    def work(self) -> None:
        self.look()
        self.end_a_key()

    def look(self) -> None:
        staff = agreement.keys["staff"].tenant
        self.act("a tenant", "GET", f"/admin/tenants/{staff}")
        self.act("a tenant's keys", "GET", f"/admin/tenants/{staff}/keys?limit=10")
        self.act("plans", "GET", "/admin/plans")
        self.act("events", "GET", "/admin/events?limit=10")

    def end_a_key(self) -> None:
        """A key works from its issue to its revocation, and not a second longer."""
        staff = agreement.keys["staff"]
        made = self.act("issue a key", "POST", f"/admin/tenants/{staff.tenant}/keys", {"label": "short"})
        if not isinstance(made, dict) or "key" not in made:
            return
        key = Key(made["id"], made["key"], staff.tenant, staff.row, staff.answer)
        self.predict(key, "a new key")
        self.act("change a key", "PATCH", f"/admin/keys/{key.id}", {"limit": ["100000/minute"]})
        self.predict(key, "a changed key")
        self.act("revoke a key", "DELETE", f"/admin/keys/{key.id}")
        gevent.sleep(REVOKED_SECONDS)
        self._refused(key)

    def _refused(self, key: Key) -> None:
        self.right = frozenset({401, 429})
        try:
            self.predict(key, "a revoked key")
        finally:
            self.right = Person.right


class Auditor(Person):
    """Searches the log, and reads records of answers that partners just got."""

    role = "auditor"
    wait_time = constant(0.7)

    @task
    def work(self) -> None:
        self.search()
        self.read()

    def search(self) -> None:
        tenant = agreement.keys["quiet"].tenant
        self.act("newest records", "GET", f"/audit/predictions?limit=50&tenant={tenant}")
        self.act("refusals", "GET", "/audit/predictions?limit=50&outcome=refused")

    def read(self) -> None:
        known = [each for each in answers[-200:] if each.is_prediction and each.received < time.time()]
        if known:
            self.act("one record", "GET", f"/audit/predictions/{known[0].request_id}")
