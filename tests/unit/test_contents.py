"""A pickle may hold anything: what it holds instead of a model is named, with what to do, and no value of it."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from examination.contents import require_model
from examination.examine import examine
from examination.orders import Order, RefusedModel
from inference.files.refused import RefusedFile
from tests.support.boosted import LABELS, ROWS, lightgbm_model, xgboost_model
from tests.support.site import dumped

pytestmark = pytest.mark.filterwarnings("ignore")

SECRET = "4111111111111111"


class Network:
    """As Keras has them."""

    __module__ = "keras.src.models.sequential"

    def predict(self, rows):
        return rows


class OwnModel(BaseEstimator):
    """Keeps what it learnt under a name that scikit-learn does not know."""

    def __init__(self):
        self.model = None

    def fit(self, rows, labels):
        self.model = LogisticRegression().fit(rows, labels)
        return self

    def predict(self, rows):
        return self.model.predict(rows)


def fitted(model):
    return model.fit(ROWS, LABELS)


SAVED = {
    "a dictionary of parts": (
        lambda: {"model": fitted(LogisticRegression()), "scaler": StandardScaler().fit(ROWS)},
        "holds a dictionary (model: LogisticRegression, scaler: StandardScaler): save the model itself, as one pipeline",
    ),
    "a dictionary with keys that are no plain names": (
        lambda: {"model": 1, SECRET: 2, ("a", SECRET): 3, SECRET * 9: 4, "a\nb": 5, 7: 6},
        "holds a dictionary (model: int, 5 more)",
    ),
    "a dictionary of many": (lambda: {f"m{number}": PCA() for number in range(30)}, "m9: PCA, 20 more)"),
    "an empty dictionary": (dict, "holds a dictionary (empty)"),
    "a list": (lambda: [StandardScaler(), LogisticRegression(), SECRET], "a list of 3 (StandardScaler, LogisticRegression, str)"),
    "a tuple": (lambda: (LogisticRegression, ROWS), "a tuple of 2 (the class LogisticRegression, ndarray)"),
    "a fitted transformer": (lambda: StandardScaler().fit(ROWS), "a StandardScaler, which transforms rows and predicts nothing"),
    "a pipeline of transformers": (lambda: make_pipeline(StandardScaler(), PCA()).fit(ROWS), "which transforms rows"),
    "a class": (lambda: LogisticRegression, "the class LogisticRegression and no fitted model: save what fit returned"),
    "a function": (lambda: np.mean, "holds a"),
    "a function of one's own": (lambda: functools.partial(max, SECRET), "holds a partial: save a fitted model"),
    "a data frame": (lambda: pd.DataFrame({"a": [SECRET]}), "a DataFrame, which is data: save the fitted model; rows"),
    "a series": (lambda: pd.Series([SECRET]), "a Series, which is data"),
    "an array": (lambda: ROWS, "a ndarray, which is data"),
    "a text": (lambda: SECRET, "a str, which has no predict: save the fitted model itself"),
    "nothing": (lambda: None, "a NoneType, which has no predict"),
    "a clusterer of the rows that it saw": (lambda: DBSCAN().fit(ROWS), "a DBSCAN, which has no predict for rows that it was not"),
    "an embedding": (TSNE, "a TSNE, which has no predict for rows that it was not fitted on"),
    "a network": (Network, "a model of Keras (Network): export it to ONNX and register that"),
    "an estimator that was never fitted": (LinearRegression, "a LinearRegression that was never fitted: call fit"),
    "a pipeline that was never fitted": (lambda: make_pipeline(StandardScaler(), MLPClassifier()), "a Pipeline that was never"),
    "a search that was never fitted": (lambda: GridSearchCV(LogisticRegression(), {}), "a GridSearchCV that was never fitted"),
    "a booster that was never fitted": (XGBClassifier, "a XGBClassifier that was never fitted"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_what_is_no_model_is_named_with_what_to_do(name):
    """By types and by the operator's own plain keys; no value and no odd key reaches the words."""
    make, words = SAVED[name]
    with pytest.raises(RefusedFile) as refused:
        require_model(make())
    assert words in str(refused.value)
    assert ":" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    "make",
    [
        lambda: fitted(LogisticRegression()),
        lambda: fitted(make_pipeline(StandardScaler(), LogisticRegression())),
        lambda: fitted(GridSearchCV(XGBClassifier(n_estimators=2), {"max_depth": [2]}, cv=2)),
        lambda: fitted(CalibratedClassifierCV(LogisticRegression(), cv=2)),
        lambda: fitted(VotingClassifier([("a", LogisticRegression())])),
        lambda: FrozenEstimator(fitted(LogisticRegression())),
        lambda: fitted(make_pipeline(StandardScaler(), OwnModel())),
        lambda: fitted(OwnModel()),
        lambda: KMeans(2, n_init=1).fit(ROWS),
        xgboost_model,
        lightgbm_model,
    ],
)
def test_a_fitted_model_is_one_whatever_is_within(make):
    """Parts that stay unfitted within a fitted one, and classes that keep what they learnt in a way of their own."""
    require_model(make())


def test_the_examination_refuses_what_is_no_model_before_it_asks_anything():
    """The snippet of a notebook that saves a model beside its scaler."""
    content = dumped({"model": fitted(LogisticRegression()), "scaler": StandardScaler().fit(ROWS)})
    with pytest.raises(
        RefusedModel, match=r"model: LogisticRegression, scaler: StandardScaler\): save the model itself"
    ):
        examine(content, None, Order("joblib"))
