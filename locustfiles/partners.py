"""Partners at work: one within its limits, by which all others are measured, and several that reach theirs."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from locust import constant, task

from locustfiles.users import Arrivals, Asker, agreement

BATCH_ROWS = 50
PAUSE_SECONDS = 0.01


class Quiet(Arrivals):
    """Stays far below its limits, so that whatever happens to it is somebody else's doing."""

    rate = 30.0
    fixed_count = 1

    def ask_once(self, due: float) -> None:
        self.predict(agreement.keys["quiet"], "quiet", due)


class QuietBatches(Arrivals):
    """The same tenant's batches."""

    rate = 3.0
    fixed_count = 1

    def ask_once(self, due: float) -> None:
        self.predict_batch(agreement.keys["quiet"], BATCH_ROWS, "quiet batch", due)


class Greedy(Asker):
    """A closed loop that asks for more than it may: the limits alone stop it."""

    abstract = True
    right = frozenset({200, 429})
    wait_time = constant(PAUSE_SECONDS)
    labels: ClassVar[list[str]] = []
    turns = count()

    def on_start(self) -> None:
        label = self.labels[next(Greedy.turns) % len(self.labels)]
        self.key = agreement.keys[label]

    @task
    def ask_again(self) -> None:
        self.predict(self.key)


class OfOneKey(Greedy):
    fixed_count = 2
    labels: ClassVar = ["one"]


class OfSmallPlan(Greedy):
    """Two tenants on one plan: its limit is each one's own."""

    fixed_count = 2
    labels: ClassVar = ["small-1/a", "small-2/a"]


class OfFirstTenant(Greedy):
    """Two keys that share their tenant's limit."""

    fixed_count = 2
    labels: ClassVar = ["first/a", "first/b"]


class OfSecondTenant(Greedy):
    """The same for another tenant with another limit."""

    fixed_count = 2
    labels: ClassVar = ["second/a", "second/b"]


class OfRows(Greedy):
    """Batches under a limit on rows."""

    fixed_count = 2
    labels: ClassVar = ["rows"]

    @task
    def ask_again(self) -> None:
        self.predict_batch(self.key, BATCH_ROWS)
