"""How users ask: each notes what it sent, when, and what came back."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import gevent
from gevent.pool import Group
from locust import FastHttpUser, constant, task

from locustfiles.agreement import MODEL, Agreement, Key
from locustfiles.answers import Answer

PREDICT, BATCH = f"/v1/models/{MODEL}/predict", f"/v1/models/{MODEL}/predict/batch"
TOLERANCE = 1e-6
END_SECONDS = 10

#: All answers that this process saw; a worker hands them to its master.
answers: list[Answer] = []
agreement = Agreement()


class Asker(FastHttpUser):
    """Sends requests as somebody. Locust counts as a failure only what the judge would call a fault."""

    abstract = True
    #: The statuses that are right here; the judge looks more closely.
    right: ClassVar[frozenset[int]] = frozenset({200})
    #: Several requests of one open-loop user are under way at once.
    concurrency = 200
    wait_time = constant(0)

    def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        key: Key | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        rows: int = 0,
        due: float = 0.0,
    ) -> tuple[Answer, Any]:
        """Sends one request and notes its answer; returns both it and the answer's document."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent_headers = ({"Content-Type": "application/json"} if content is not None else {}) | dict(headers or {})
        if key is not None:
            sent_headers.setdefault("X-API-Key", key.raw_key)
        sent = time.time()
        with self.client.request(
            method, path, data=content, headers=sent_headers, name=kind, catch_response=True
        ) as response:
            received = time.time()
            status, document = response.status_code or 0, _document(response)
            wrong = _fault(key, document, rows) if status == 200 and key is not None and rows else ""
            answer = Answer(
                kind,
                sent,
                received,
                status,
                key.id if key else "",
                key.tenant if key else "",
                _problem(document),
                str(document.get("request_id", "")) if isinstance(document, dict) else "",
                rows,
                due,
                wrong,
            )
            answers.append(answer)
            if status in self.right and not wrong:
                response.success()
            else:
                response.failure(wrong or f"{status} {answer.problem}")
        return answer, document

    def predict(self, key: Key, kind: str = "predict", due: float = 0.0) -> Answer:
        return self.ask(kind, "POST", PREDICT, key=key, body=key.row, rows=1, due=due)[0]

    def predict_batch(self, key: Key, rows: int, kind: str = "batch", due: float = 0.0) -> Answer:
        return self.ask(kind, "POST", BATCH, key=key, body={"rows": [key.row] * rows}, rows=rows, due=due)[0]


class Arrivals(Asker):
    """An open loop: requests are due at random instants, `rate` a second, however slow the answers are.

    A closed loop asks a slow server less often, and so hides how long its callers would wait.
    """

    abstract = True
    rate: float = 1.0

    def on_start(self) -> None:
        self._under_way = Group()
        self._due = time.time()

    def on_stop(self) -> None:
        self._under_way.join(timeout=END_SECONDS)

    @task
    def arrive(self) -> None:
        self._due += random.expovariate(self.rate * self.environment.parsed_options.rate)
        gevent.sleep(max(0.0, self._due - time.time()))
        self._under_way.spawn(self.ask_once, self._due)

    def ask_once(self, due: float) -> None:
        """Sends the request that was due at that instant."""
        raise NotImplementedError


def _document(response: Any) -> Any:
    try:
        return json.loads(response.text or "null")
    except ValueError:
        return None


def _problem(document: Any) -> str:
    """The last word of a problem's type: `not-found` of `/problems/not-found`."""
    kind = document.get("type") if isinstance(document, dict) else None
    return kind.replace("#", "/").rpartition("/")[2] if isinstance(kind, str) else ""


def _fault(key: Key, document: Any, rows: int) -> str:
    """The fault of a prediction's answer, in words; empty if it has none. Each tenant asks for another row."""
    try:
        items = document.get("predictions", [document])
        right = len(items) == rows and all(_is_like(item, key.answer) for item in items)
    except (KeyError, TypeError, AttributeError):
        return "the answer is no prediction"
    return "" if right else "the answer is not that of the rows that were sent"


def _is_like(item: Any, right: Any) -> bool:
    probabilities = item["probabilities"]
    return item["prediction"] == right["prediction"] and all(
        abs(probabilities[name] - value) <= TOLERANCE for name, value in right["probabilities"].items()
    )
