"""Rows on which a compiled model is compared with the trained one: where models that differ would show it.

Random rows show almost nothing: a logistic regression compiled in float32 agreed on 200,000 of them, and changed its
label on a third of the rows that lay on its decision boundary. So rows are placed there, by bisection between rows
that the trained model tells apart, until no number lies between the two; and on both sides of trees' thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examination.compiling.boundary_rows import PAIRS, boundary_rows, threshold_rows
from examination.compiling.random_rows import RANDOM_ROWS, SEED, Properties, random_rows
from inference.engines import Engine, TrainedEngine
from inference.outputs import NotComputable, Predictions
from inference.rows.features import kind_of
from inference.rows.inputs import Row

SAMPLE_ROWS = 2_000
#: A model that is not compiled is asked one of so many rows: they only show whether rows depend on each other.
SMALL_SHARE = 10
#: So many of the rows on boundaries are also asked one by one.
NEAR_TIES = 40
#: A model that refuses many rows is asked so often while they are searched for; what is then left is not asked.
MAX_CALLS = 200


@dataclass(frozen=True, slots=True)
class Probes:
    """Rows that the trained model answers: of the sample, random, around thresholds, and on decision boundaries.

    `raises` says that the model raised an error on other such rows, which are left out.
    """

    sample: list[Row]
    random: list[Row]
    threshold: list[Row]
    boundary: list[Row]
    raises: bool

    @property
    def rows(self) -> list[Row]:
        return [*self.sample, *self.random, *self.threshold, *self.boundary]

    @property
    def near_ties(self) -> list[Row]:
        """Several of the rows on boundaries."""
        return self.boundary[:: max(1, len(self.boundary) // NEAR_TIES)][:NEAR_TIES]


def probes_of(
    estimator: Any, properties: Properties, sample: Sequence[Row], trained: TrainedEngine, *, is_compiled: bool
) -> Probes:
    """Rows on which a compiled model is compared with the trained one; fewer of them if it will not be compiled."""
    numbers = [name for name, spec in properties.items() if kind_of(name, spec) == "number" and "enum" not in spec]
    random = np.random.default_rng(SEED)
    share = 1 if is_compiled else SMALL_SHARE
    asked = _Asked(trained)
    some = asked.answerable([sample[index] for index in random.permutation(len(sample))[: SAMPLE_ROWS // share]])
    drawn = asked.answerable(random_rows(properties, sample, random)[: RANDOM_ROWS // share])
    near = some if len(some) > 1 else drawn
    if not near:
        return Probes(some, [], [], [], raises=asked.raised)
    threshold: list[Row] = []
    if is_compiled:
        threshold = threshold_rows(estimator, list(properties), near, random)
        threshold += asked.boundary(numbers, near, random, PAIRS, single=True)
    boundary: list[Row] = []
    if not is_of_numbers(trained.compute(near[:1])):
        boundary = asked.boundary(numbers, near, random, PAIRS // share, single=False)
    threshold, boundary = asked.answerable(threshold), asked.answerable(boundary)
    return Probes(some, drawn, threshold, boundary, raises=asked.raised)


class _Asked:
    """A trained model, and whether it has raised an error on a row that its schema allows."""

    def __init__(self, trained: TrainedEngine) -> None:
        self._trained = trained
        self.raised = False

    def answerable(self, rows: list[Row]) -> list[Row]:
        found, raised = answerable(self._trained, rows)
        self.raised = self.raised or raised
        return found

    def boundary(
        self, numbers: Sequence[str], rows: Sequence[Row], random: np.random.Generator, pairs: int, *, single: bool
    ) -> list[Row]:
        try:
            return boundary_rows(self._trained.compute, numbers, rows, random, pairs, single=single)
        except NotComputable:
            return []
        except Exception:  # noqa: BLE001  a model may raise anything, also on rows between rows that it answers
            self.raised = True
            return []


def is_of_numbers(predictions: Predictions) -> bool:
    """Whether the predictions are numbers, and not labels."""
    label = predictions.labels[0]
    first = label[0] if isinstance(label, list) else label
    return predictions.probabilities is None and isinstance(first, float)


def answerable(trained: Engine, rows: list[Row]) -> tuple[list[Row], bool]:
    """Those rows that the trained model answers with numbers, and whether it raises an error on others.

    Rows that make it raise are searched for by halves.
    """
    calls, raised, found = 0, False, []
    waiting = [rows] if rows else []
    while waiting and calls < MAX_CALLS:
        some, calls = waiting.pop(), calls + 1
        try:
            trained.compute(some)
        except NotComputable as beyond:
            left_out = set(beyond.rows)
            kept = [row for index, row in enumerate(some) if index not in left_out]
            waiting += [kept] if kept and left_out else []
        except Exception:  # noqa: BLE001  a model may raise anything
            raised, half = True, len(some) // 2
            waiting += [some[half:], some[:half]] if half else []
        else:
            found += some
    return found, raised
