"""The agreement of a run: tenants and keys with their limits and own rows, and the people at work.

It is made over HTTP by an admin, so that any installation can be loaded: nothing here knows the inside.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from locustfiles.answers import Answer
from locustfiles.client import Client

ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
MODEL = "iris"
UNREACHED = "10000000/minute"
#: Requests a second (rows for the last one), on average over a window: a busy machine reaches them, too.
SMALL_PLAN, FIRST_TENANT, SECOND_TENANT, ONE_KEY, ROWS_OF_A_KEY = 6, 10, 18, 15, 200
#: The abuser's rows in a window, of which it asks for more at once.
FEW_ROWS = 500


class Limit(NamedTuple):
    """At most `amount` requests, or rows, of the keys together in any trailing window."""

    name: str
    key_ids: list[str]
    unit: str
    amount: int
    window_seconds: float


class Key(NamedTuple):
    """A key, its tenant, and a row of its own with the answer that is right for it."""

    id: str
    raw_key: str
    tenant: str
    row: dict[str, float]
    answer: dict[str, Any]


class Human(NamedTuple):
    """An admin or an auditor."""

    email: str
    password: str


@dataclass
class Agreement:
    """`keys` are by label. `asked` are the answers that making it took: they are in the log, too."""

    keys: dict[str, Key] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    people: dict[str, Human] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)
    asked: list[Answer] = field(default_factory=list)

    def write(self, path: Path) -> None:
        document = asdict(self) | {"asked": [asdict(each) for each in self.asked]}
        document["keys"] = {label: key._asdict() for label, key in self.keys.items()}
        document["limits"] = [limit._asdict() for limit in self.limits]
        document["people"] = {role: human._asdict() for role, human in self.people.items()}
        path.touch(0o600)
        path.write_text(json.dumps(document))

    @classmethod
    def read(cls, path: Path) -> Agreement:
        document = json.loads(path.read_text())
        return cls(
            {label: Key(**key) for label, key in document["keys"].items()},
            [Limit(**limit) for limit in document["limits"]],
            {role: Human(**human) for role, human in document["people"].items()},
            document["tenants"],
            [Answer(**each) for each in document["asked"]],
        )


class Maker:
    """Makes an agreement as an admin who is signed in. Names carry a mark of their own: a second run disturbs none.

    Each limit allows `share` of what it would otherwise.
    """

    def __init__(self, url: str, people: dict[str, Human], *, window_seconds: int, share: float = 1.0) -> None:
        self._url, self._window, self._share = url, window_seconds, share
        self._admin = Client.signed_in(url, people["admin"])
        self._mark = f"load-{secrets.token_hex(3)}"
        self.agreement = Agreement(people=people)

    def make(self) -> Agreement:
        self._plan("wide", limit=[UNREACHED], rows=[UNREACHED], concurrency=500)
        self._plan("small", limit=[self._limit(SMALL_PLAN)], rows=[UNREACHED], concurrency=100)
        self._plan("narrow", limit=[UNREACHED], rows=[UNREACHED], concurrency=4)
        self._tenant("quiet", "wide")
        self._tenant("partners", "wide")
        self._tenant("staff", "wide")
        self._tenant("abuser", "wide")
        self._tenant("slow", "narrow")
        for name in ("small-1", "small-2"):
            self._tenant(name, "small")
        self._tenant("first", "wide", limit=[self._limit(FIRST_TENANT)])
        self._tenant("second", "wide", limit=[self._limit(SECOND_TENANT)])
        self._key("quiet", "quiet")
        self._key("one", "partners", limit=[self._limit(ONE_KEY)])
        self._key("rows", "partners", rows=[self._limit(ROWS_OF_A_KEY)])
        self._key("staff", "staff")
        self._key("abuser", "abuser", rows=[f"{FEW_ROWS}/{self._window} seconds"])
        self._key("reader", "abuser", scope=["models:read"])
        self._key("slow", "slow")
        for tenant in ("small-1", "small-2", "first", "second"):
            self._key(f"{tenant}/a", tenant)
        for tenant in ("first", "second"):
            self._key(f"{tenant}/b", tenant)
        self._agree("one key", ["one"], ONE_KEY)
        self._agree("rows of one key", ["rows"], ROWS_OF_A_KEY, "rows")
        self._agree("the plan, for its first tenant", ["small-1/a"], SMALL_PLAN)
        self._agree("the plan, for its second tenant", ["small-2/a"], SMALL_PLAN)
        self._agree("the first tenant's two keys", ["first/a", "first/b"], FIRST_TENANT)
        self._agree("the second tenant's two keys", ["second/a", "second/b"], SECOND_TENANT)
        return self.agreement

    def _limit(self, a_second: int) -> str:
        return f"{self._amount(a_second)}/{self._window} seconds"

    def _amount(self, a_second: int) -> int:
        return max(1, round(a_second * self._window * self._share))

    def _plan(self, name: str, **terms: Any) -> None:
        self._admin.json("PUT", f"/admin/plans/{self._mark}-{name}", terms)

    def _tenant(self, name: str, plan: str, **limits: list[str]) -> None:
        body = {"name": f"{self._mark}-{name}", "plan": f"{self._mark}-{plan}"} | limits
        self.agreement.tenants.append(self._admin.json("POST", "/admin/tenants", body)["name"])

    def _key(self, label: str, tenant: str, **terms: Any) -> None:
        name = f"{self._mark}-{tenant}"
        made = self._admin.json("POST", f"/admin/tenants/{name}/keys", {"label": label} | terms)
        # Another row for each tenant: an answer that went to another one shows.
        row = ROW | {"petal_length": round(1.4 + 0.4 * len(self.agreement.keys), 1)}
        # The quiet tenant asks for all of them, before the run: a tenant's own answers would spend its limits.
        asker = self.agreement.keys.get("quiet") or Key(made["id"], made["key"], name, row, {})
        key = Key(made["id"], made["key"], name, row, self._right_answer(asker, row))
        self.agreement.keys[label] = key

    def _right_answer(self, asker: Key, row: dict[str, float]) -> dict[str, Any]:
        sent = time.time()
        answer = Client(self._url, {"X-API-Key": asker.raw_key}).json("POST", f"/v1/models/{MODEL}/predict", row)
        request_id = answer["request_id"]
        self.agreement.asked.append(
            Answer("before", sent, time.time(), 200, asker.id, asker.tenant, request_id=request_id, rows=1)
        )
        return {name: answer[name] for name in ("prediction", "probabilities")}

    def _agree(self, name: str, labels: list[str], a_second: int, unit: str = "requests") -> None:
        key_ids = [self.agreement.keys[label].id for label in labels]
        self.agreement.limits.append(Limit(name, key_ids, unit, self._amount(a_second), self._window))
