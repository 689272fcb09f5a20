"""Partners under their limits: single rows, batches, and two tenants that must not touch each other.

    locust -f locustfiles/locustfile.py --headless --agreement FILE --host http://127.0.0.1:8000 ...

`--agreement` names a JSON file with the keys to use and their agreed limits (`locustfiles/run.py` makes one). The run
ends with a judgement: exit code 1 if the server admitted more than agreed, or answered anything but 200 and 429.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, events, task

from locustfiles.ledger import Admitted, Ledger, Limit

ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
BATCH_ROWS = 50

ledger = Ledger()
agreement: dict[str, Any] = {}
logger = logging.getLogger("adyton.load")


@events.init_command_line_parser.add_listener
def _add_agreement(parser: Any) -> None:
    parser.add_argument("--agreement", required=True, help="keys and limits, as JSON")


@events.init.add_listener
def _read_agreement(environment: Any, **_: Any) -> None:
    agreement.update(json.loads(Path(environment.parsed_options.agreement).read_text()))


@events.quitting.add_listener
def _judge(environment: Any, **_: Any) -> None:
    limits = [Limit(**limit) for limit in agreement["limits"]]
    for key, statuses in ledger.summary().items():
        logger.info("%s: %s", key, statuses)
    for limit in limits:
        most = ledger.most_in_a_window(limit)
        logger.info("%s: at most %d of %d %s in a window", limit.name, most, limit.amount, limit.unit)
    faults = list(ledger.verdict(limits))
    for fault in faults:
        logger.error(fault)
    # Some 429 are expected here, so Locust's own count of failures does not decide.
    environment.process_exit_code = 1 if faults else 0


class Partner(FastHttpUser):
    """Asks without pause with one of the keys of its kind, and notes each answer."""

    abstract = True
    wait_time = constant(0.01)
    kind = ""

    def on_start(self) -> None:
        keys = agreement["keys"][self.kind]
        type(self).turn = getattr(type(self), "turn", -1) + 1
        self.label, self.raw_key = keys[self.turn % len(keys)]

    def ask(self, path: str, body: Any, rows: int) -> None:
        """Sends one request. Here 200 and 429 are successes, and everything else is a failure."""
        sent = time.monotonic()
        with self.client.post(
            path, json=body, headers={"X-API-Key": self.raw_key}, name=f"{path} {self.label}", catch_response=True
        ) as response:
            ledger.note(self.label, response.status_code, Admitted(sent, time.monotonic(), rows))
            if response.status_code in (200, 429):
                response.success()


class SinglePartner(Partner):
    """One row at a time."""

    kind = "single"

    @task
    def predict(self) -> None:
        self.ask("/v1/models/iris/predict", ROW, 1)


class BatchPartner(Partner):
    """Fifty rows at a time, limited by rows."""

    kind = "batch"

    @task
    def predict(self) -> None:
        self.ask("/v1/models/iris/predict/batch", {"rows": [ROW] * BATCH_ROWS}, BATCH_ROWS)


class FirstTenantPartner(SinglePartner):
    """One of two keys that share their tenant's limit."""

    kind = "first"


class SecondTenantPartner(SinglePartner):
    """One of two keys that share another tenant's limit."""

    kind = "second"
