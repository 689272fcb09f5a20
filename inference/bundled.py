"""The three bundled models, trained here and now on data sets that scikit-learn carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAMES = frozenset({"iris", "wine", "diabetes"})
IRIS_FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class Bundled(NamedTuple):
    """A trained estimator, the rows it was trained on (rows, features), and the JSON Schema of a row."""

    name: str
    description: str
    estimator: Any
    sample: NDArray[np.float64]
    row_schema: dict[str, Any]


def train() -> Iterator[Bundled]:
    """Trains `iris`, `wine` and `diabetes`; the same each time."""
    # Importing scikit-learn's estimators takes a second that only the first start should pay.
    from sklearn.datasets import load_diabetes, load_iris, load_wine  # noqa: PLC0415
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415
    from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    iris = load_iris()
    species = iris.target_names[iris.target].astype(object)
    in_cm = {"exclusiveMinimum": 0, "exclusiveMaximum": 30, "x-unit": "cm"}
    yield Bundled(
        "iris",
        "Species of iris from the measures of a flower: logistic regression.",
        make_pipeline(StandardScaler(), LogisticRegression()).fit(iris.data, species),
        iris.data,
        row_schema(IRIS_FEATURES, iris.data, in_cm),
    )
    wine = load_wine()
    yield Bundled(
        "wine",
        "Cultivar of a wine (0, 1 or 2) from its chemical analysis: a random forest of 100 trees.",
        RandomForestClassifier(n_estimators=100, random_state=0).fit(wine.data, wine.target),
        wine.data,
        row_schema(wine.feature_names, wine.data, {}),
    )
    diabetes = load_diabetes()
    yield Bundled(
        "diabetes",
        "Progression of diabetes after a year from ten standardized baseline measures: linear regression.",
        make_pipeline(StandardScaler(), LinearRegression()).fit(diabetes.data, diabetes.target),
        diabetes.data,
        row_schema(diabetes.feature_names, diabetes.data, {}),
    )


def row_schema(names: Any, sample: NDArray[np.float64], bounds: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a row of numbers, with the ranges of the sample as notes."""
    low, high = sample.min(axis=0).tolist(), sample.max(axis=0).tolist()
    return {
        "type": "object",
        "properties": {
            name: {"type": "number", **bounds, "x-pii": "no", "x-observed": [low[place], high[place]]}
            for place, name in enumerate(names)
        },
        "required": list(names),
        "additionalProperties": False,
    }
