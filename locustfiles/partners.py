"""Partners at work: one within its limits, by which all others are measured, and several that reach theirs."""

from __future__ import annotations

from collections import defaultdict
from typing import ClassVar

from locust import constant, task

from locustfiles.users import Arrivals, Asker, agreement

BATCH_ROWS = 50
PAUSE_SECONDS = 0.05


class Quiet(Arrivals):
    """Stays far below its limits, so that whatever happens to it is somebody else's doing."""

    rate = 30.0
    weight = 1

    def ask_once(self, due: float) -> None:
        self.predict(agreement.keys["quiet"], "quiet", due)


class QuietBatches(Arrivals):
    """The same tenant's batches."""

    rate = 3.0
    weight = 1

    def ask_once(self, due: float) -> None:
        self.predict_batch(agreement.keys["quiet"], BATCH_ROWS, "quiet batch", due)


class Greedy(Asker):
    """A closed loop that asks for more than it may: the limits alone stop it."""

    abstract = True
    right = frozenset({200, 429})
    wait_time = constant(PAUSE_SECONDS)
    labels: ClassVar[list[str]] = []
    turns: ClassVar[defaultdict[type, int]] = defaultdict(int)

    def on_start(self) -> None:
        # Users of one class are dealt to the workers in turn, and so are its keys.
        turn = self.turns[type(self)] + getattr(self.environment.runner, "worker_index", 0)
        self.turns[type(self)] += 1
        self.key = agreement.keys[self.labels[turn % len(self.labels)]]

    @task
    def ask_again(self) -> None:
        self.ask_once()

    def ask_once(self) -> None:
        self.predict(self.key)


class OfOneKey(Greedy):
    weight = 2
    labels: ClassVar = ["one"]


class OfSmallPlan(Greedy):
    """Two tenants on one plan: its limit is each one's own."""

    weight = 2
    labels: ClassVar = ["small-1/a", "small-2/a"]


class OfFirstTenant(Greedy):
    """Two keys that share their tenant's limit."""

    weight = 2
    labels: ClassVar = ["first/a", "first/b"]


class OfSecondTenant(Greedy):
    """The same for another tenant with another limit."""

    weight = 2
    labels: ClassVar = ["second/a", "second/b"]


class OfRows(Greedy):
    """Batches under a limit on rows."""

    weight = 2
    labels: ClassVar = ["rows"]

    def ask_once(self) -> None:
        self.predict_batch(self.key, BATCH_ROWS)
