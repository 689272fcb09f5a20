"""Several Locust processes: each worker hands its answers to the master, and the last ones before the run ends.

Locust's master waits half a second for the last reports of its workers. A request that is under way then would be in
the log and in no client's list.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from locustfiles.answers import Answer
from locustfiles.users import answers

NAMES = [each.name for each in fields(Answer)]
END, LAST = "end_and_hand_over", "last_answers"
PATIENCE_SECONDS = 60

ended: set[str] = set()


def _taken() -> list[list[Any]]:
    """The answers since the last time, as messages can carry them."""
    values = [list(asdict(each).values()) for each in answers]
    answers.clear()
    return values


def _add(values: list[list[Any]]) -> None:
    answers.extend(Answer(**dict(zip(NAMES, each, strict=True))) for each in values)


@events.init.add_listener
def _register(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message(END, lambda **_: runner.stop(), concurrent=True)
    elif isinstance(runner, MasterRunner):
        runner.register_message(LAST, _end_of_one)


def _end_of_one(msg: Any, **_: Any) -> None:
    _add(msg.data["answers"])
    ended.add(msg.node_id)


@events.report_to_master.add_listener
def _report(data: dict[str, Any], **_: Any) -> None:
    data["answers"] = _taken()


@events.worker_report.add_listener
def _take_over(data: dict[str, Any], **_: Any) -> None:
    _add(data.pop("answers", []))


@events.test_stop.add_listener
def _hand_over(environment: Any, **_: Any) -> None:
    """On a worker: all its users have ended."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(LAST, {"answers": _taken()})


@events.test_stopping.add_listener
def _end_all(environment: Any, **_: Any) -> None:
    """On the master: waits for the last answers of every worker."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        runner.send_message(END)
        with gevent.Timeout(PATIENCE_SECONDS, exception=False):
            while ended < {client.id for client in runner.clients.all}:
                gevent.sleep(0.1)
