"""What an estimator is made of, however it holds it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from inference.estimators import is_scikit_learns_own, parts_of, reads_files

ROWS, CLASSES = np.arange(24.0).reshape(12, 2), np.arange(12) % 2


def test_every_tree_of_a_forest_is_a_part():
    """Not only the first ones."""
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(30)).fit(ROWS, CLASSES)
    assert sum(hasattr(part, "tree_") for part in parts_of(forest)) == 30


HIDING_PLACES = {
    "a pipeline": lambda hidden: make_pipeline(hidden, LogisticRegression()),
    "the last of many": lambda hidden: VotingClassifier([(str(n), LogisticRegression()) for n in range(5)] + [("v", hidden)]),
    "a union of columns": lambda hidden: ColumnTransformer([("u", FeatureUnion([("a", StandardScaler()), ("b", hidden)]), [0])]),
    "a search": lambda hidden: GridSearchCV(make_pipeline(hidden, LogisticRegression()), {}),
    "an attribute that nobody knows": lambda hidden: _with(LogisticRegression(), hidden),
}  # fmt: skip


def _with(estimator, hidden):
    estimator.something_ = {"a": [(1, np.array([hidden, None], dtype=object))]}
    return estimator


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_what_reads_files_is_found_wherever_it_hides(place):
    """A row would name the file."""
    assert reads_files(HIDING_PLACES[place](CountVectorizer(input="filename")))
    assert not reads_files(HIDING_PLACES[place](CountVectorizer()))


def test_a_function_of_somebodys_own_may_take_as_long_as_it_likes():
    """As a step, a kernel or a tokenizer; scikit-learn's and numpy's are known."""
    for own in (StandardScaler(), FunctionTransformer(np.log1p), make_pipeline(StandardScaler(), SVC())):
        assert is_scikit_learns_own(own)
    for foreign in (
        FunctionTransformer(as_they_are),
        SVC(kernel=as_they_are),
        CountVectorizer(tokenizer=str.split),
        object(),
    ):
        assert not is_scikit_learns_own(make_pipeline(foreign, SVC()) if hasattr(foreign, "fit") else foreign)


def as_they_are(rows):
    return rows


def test_what_holds_itself_is_walked_once():
    """A file may have been made to be walked for ever."""
    estimator = LogisticRegression()
    estimator.ring_ = [estimator]
    estimator.ring_.append(estimator.ring_)
    assert parts_of(estimator) == [estimator]
