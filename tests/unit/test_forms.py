"""The form of input in which a model is served: the one that it was trained on, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from examination.columns.discovery import describe, features_of
from examination.columns.sample_columns import rows_of
from examination.forms import Asked, form_of
from inference.outputs import NotServable
from inference.rows.schema import RowSchema

#: scikit-learn warns of a matrix where it was trained on a frame; the examination ignores it.
pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
ABOVE = (FRAME["a"] > 0).astype(int)


class _Own(ClassifierMixin, BaseEstimator):
    """A classifier that somebody wrote."""

    calls = 0

    def fit(self, rows, labels):
        self.classes_, self.n_features_in_ = np.unique(labels), rows.shape[1]
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        return self


class Guessing(_Own):
    def predict(self, rows):
        return np.random.default_rng().choice(self.classes_, len(rows))


class Counting(_Own):
    def predict(self, rows):
        self.calls += 1
        return np.full(len(rows), self.classes_[self.calls % 2])


class OfFrames(_Own):
    """It swaps its columns where they have no names, without a word."""

    def predict(self, rows):
        return (np.asarray(rows["a"] if hasattr(rows, "columns") else rows[:, 1]) > 0).astype(int)


def form(model, frame):
    features = features_of(model, list(frame), None, None)
    schema = RowSchema(describe(model, features, frame, None), 1_000)
    return form_of(model, features, schema, Asked(rows_of(frame), frame))


@pytest.mark.parametrize("kind", [Guessing, Counting])
def test_a_model_that_changes_its_answer_is_refused(kind):
    """Whether it draws at random or counts its calls."""
    with pytest.raises(NotServable, match="its own code answers the same rows differently each time"):
        form(kind().fit(FRAME, ABOVE), FRAME)


def test_a_model_of_frames_is_served_frames_where_a_matrix_has_other_answers():
    """A matrix is quicker, and serves only those that answer it alike."""
    assert form(OfFrames().fit(FRAME, ABOVE), FRAME).kind == "frame"
    assert form(LogisticRegression().fit(FRAME, ABOVE), FRAME).kind == "matrix"


@pytest.mark.parametrize("model", [LinearRegression(), RandomForestRegressor(3, random_state=0)], ids=str)
def test_a_target_of_one_column_is_answered_by_numbers(model):
    """`y=frame[["price"]]` makes answers of shape (rows, 1)."""
    found = form(model.fit(FRAME, FRAME[["a"]] * 2), FRAME)
    assert all(isinstance(label, float) for label in found.expected.labels)
