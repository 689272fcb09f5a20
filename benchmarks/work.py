"""The work that is measured: which model, how many rows a request, how many connections; and the right answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier

from examination.bundled import train

BODIES = 8
#: Compiled models compute in float32, and are promised to be within this.
TOLERANCE = 1e-6
#: Answers of two bodies differ by more than what any rounding explains, and no label is near a tie.
APART, CLEAR = 1e-5, 1e-3


class Work(NamedTuple):
    """One line of the table."""

    name: str
    model: str
    rows: int
    connections: int


WORK = (
    Work("iris, 1 connection", "iris", 1, 1),
    Work("iris, 64 connections", "iris", 1, 64),
    Work("forest, 1 connection", "wine", 1, 1),
    Work("forest, 64 connections", "wine", 1, 64),
    Work("boosted, 1 connection", "boosted", 1, 1),
    Work("boosted, 64 connections", "boosted", 1, 64),
    Work("forest, batches of 100, 16 connections", "wine", 100, 16),
)
IRIS_64, FOREST_64, BOOSTED_64, BATCHES = WORK[1], WORK[3], WORK[5], WORK[6]


class Model(NamedTuple):
    """A trained model, with rows that it answers differently and what scikit-learn answers them."""

    name: str
    features: tuple[str, ...]
    labels: list[Any]
    rows: list[list[float]]
    probabilities: list[list[float]]

    def body(self, number: int, rows: int) -> tuple[list[list[float]], list[list[float]]]:
        """The rows of one of the requests, and the probabilities of each."""
        places = [(number + place) % len(self.rows) for place in range(rows)]
        return [self.rows[place] for place in places], [self.probabilities[place] for place in places]

    def named(self, row: list[float]) -> dict[str, float]:
        return dict(zip(self.features, row, strict=True))


def make_models(directory: Path) -> dict[str, Model]:
    """Trains the three models, and writes each to `NAME.joblib` and rows to `NAME.csv`."""
    wine = load_wine()
    boosted = HistGradientBoostingClassifier(random_state=0).fit(wine.data, wine.target)
    estimators = [
        (each.name, each.estimator, each.features, each.sample) for each in train() if each.name != "diabetes"
    ]
    made = {}
    for name, estimator, features, sample in [*estimators, ("boosted", boosted, wine.feature_names, wine.data)]:
        joblib.dump(estimator, directory / f"{name}.joblib")
        pd.DataFrame(sample, columns=list(features)).to_csv(directory / f"{name}.csv", index=False)
        rows, probabilities = _apart(sample.tolist(), estimator.predict_proba(sample))
        made[name] = Model(name, tuple(features), estimator.classes_.tolist(), rows, probabilities)
    return made


def _apart(rows: list[list[float]], probabilities: Any) -> tuple[list[list[float]], list[list[float]]]:
    """Rows whose answers cannot be taken for one another's, nor their labels for a tie."""
    chosen: list[int] = []
    for place, each in enumerate(probabilities):
        clear = np.diff(np.sort(each)[-2:])[0] > CLEAR
        if clear and all(np.abs(each - probabilities[other]).max() > APART for other in chosen):
            chosen.append(place)
        if len(chosen) == BODIES:
            break
    return [rows[place] for place in chosen], probabilities[chosen].tolist()
