"""Facts that a model's or a sample's file does not say outright: found elsewhere in the model, or refused in words."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from examination.orders import RefusedModel
from tests.support.matrix.asking import InProcess
from tests.support.matrix.cells import brought

pytestmark = pytest.mark.filterwarnings("ignore")

R, ROWS = np.random.default_rng(0), 120
NUMBERS = pd.DataFrame(R.normal(size=(ROWS, 3)), columns=list("abc"))
POSITIVE = (NUMBERS.a > 0).astype(int)


class Clipped(TransformerMixin, BaseEstimator):
    """A step as notebooks write it: it keeps no names of columns, and takes frames and matrices alike."""

    def fit(self, _, y=None):  # noqa: ARG002  fit has two arguments
        return self

    def transform(self, rows):
        return rows.clip(-3, 3)


class Alike(ClassifierMixin, BaseEstimator):
    """A classifier of two labels that JSON writes alike as names."""

    def __init__(self, classes):
        self.classes = classes

    def fit(self, rows, y=None):  # noqa: ARG002  fit has two arguments
        self.n_features_in_ = rows.shape[1]
        self.classes_ = np.array(self.classes, dtype=object)
        return self

    def predict_proba(self, rows):
        return np.full((len(rows), 2), 0.5)

    def predict(self, rows):
        return np.full(len(rows), self.classes_[0], dtype=object)


def codes(frame):
    return frame.apply(lambda column: column.cat.codes).to_numpy()


def served(estimator, frame, **changed):
    """The estimator, registered with a sample of the frame, which may be replaced."""
    kind = changed.pop("kind", "csv")
    return InProcess(brought(estimator, frame, sample=kind)._replace(**changed))


def labels(served, rows):
    answer = served.answers(rows)
    assert answer.status == 200, answer
    return [each["prediction"] for each in answer.said]


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
@pytest.mark.parametrize("last", [LogisticRegression(), DecisionTreeClassifier(), LinearRegression()], ids=str)
def test_a_later_part_knows_the_order_of_columns_that_an_own_first_step_does_not(last, order):
    """The part behind it would refuse a frame in another order, and takes a matrix in any."""
    model = make_pipeline(Clipped(), last).fit(NUMBERS, POSITIVE)
    sample = ("s.csv", NUMBERS[list(order)].to_csv(index=False).encode())
    found = served(model, NUMBERS, sample=sample)
    assert labels(found, NUMBERS.to_dict("records")) == pytest.approx(model.predict(NUMBERS).tolist())
