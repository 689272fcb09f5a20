"""The three bundled models, trained on data sets that scikit-learn carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

IRIS_FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class Bundled(NamedTuple):
    """A trained estimator, its features, its training rows of shape (rows, features), and bounds of the features."""

    name: str
    description: str
    estimator: Any
    features: Sequence[str]
    sample: NDArray[np.float64]
    schema: dict[str, Any] | None = None


def train() -> Iterator[Bundled]:
    """Trains `iris`, `wine` and `diabetes`; the same each time."""
    iris = load_iris()
    species = iris.target_names[iris.target].astype(object)
    in_cm = {"exclusiveMinimum": 0, "exclusiveMaximum": 30, "x-unit": "cm"}
    measures = {"properties": dict.fromkeys(IRIS_FEATURES, in_cm)}
    yield Bundled(
        "iris",
        "Species of iris from the measures of a flower: logistic regression.",
        make_pipeline(StandardScaler(), LogisticRegression()).fit(iris.data, species),
        IRIS_FEATURES,
        iris.data,
        measures,
    )
    wine = load_wine()
    yield Bundled(
        "wine",
        "Cultivar of a wine (0, 1 or 2) from its chemical analysis: a random forest of 100 trees.",
        RandomForestClassifier(n_estimators=100, random_state=0).fit(wine.data, wine.target),
        wine.feature_names,
        wine.data,
    )
    diabetes = load_diabetes()
    yield Bundled(
        "diabetes",
        "Progression of diabetes after a year from ten standardized baseline measures: linear regression.",
        make_pipeline(StandardScaler(), LinearRegression()).fit(diabetes.data, diabetes.target),
        diabetes.feature_names,
        diabetes.data,
    )
