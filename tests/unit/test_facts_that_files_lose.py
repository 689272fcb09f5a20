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


@pytest.mark.parametrize("kind", ["csv", "parquet", "none"])
@pytest.mark.parametrize("is_matrix", [False, True])
def test_a_category_of_float32_is_known_by_the_number_that_callers_write(kind, is_matrix):
    """0.1 in float64 is not 0.1 in float32, and an encoder that ignores unknown categories would say nothing."""
    short = np.array([0.1, 0.5, 0.7])[R.integers(0, 3, ROWS)]
    frame = pd.DataFrame({"x0": short.astype(np.float32), "x1": NUMBERS.b.astype(np.float32)})
    given = frame.to_numpy() if is_matrix else frame
    encoder = ColumnTransformer([("known", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression()).fit(given, (short == 0.1).astype(int))
    found = served(model, frame, kind=kind)
    rows = [{"x0": number, "x1": float(other)} for number, other in zip(short.tolist(), frame.x1, strict=True)]
    assert labels(found, rows) == model.predict(given).tolist()


@pytest.mark.parametrize(("values", "is_ordered"), [([3, 1, 2], True), ([3, 1, 2], False), ([0.5, 2.5, 1.5], True)])
def test_an_order_of_categories_that_parquet_does_not_keep_is_refused_where_it_tells(values, is_ordered):
    """The codes of categories follow their order, and of numbers a Parquet file keeps none."""
    kind = pd.CategoricalDtype(values, ordered=is_ordered)
    frame = pd.DataFrame({"k": pd.Series(R.choice(values, ROWS)).astype(kind)})
    model = make_pipeline(FunctionTransformer(codes), DecisionTreeRegressor()).fit(frame, frame.k.cat.codes)
    with pytest.raises(RefusedModel, match="does not keep the order of the categories of the column k"):
        served(model, frame, kind="parquet")


def test_an_order_of_categories_of_texts_is_the_samples():
    """Parquet keeps those, with the ones that no row has."""
    kind = pd.CategoricalDtype(["s", "p", "unused", "q"])
    frame = pd.DataFrame({"k": pd.Series(R.choice(["p", "q", "s"], ROWS)).astype(kind)})
    model = make_pipeline(FunctionTransformer(codes), DecisionTreeRegressor()).fit(frame, frame.k.cat.codes)
    found = served(model, frame, kind="parquet")
    assert labels(found, [{"k": "s"}, {"k": "p"}, {"k": "q"}]) == [0.0, 1.0, 3.0]


def test_an_order_of_categories_that_does_not_tell_is_no_matter():
    """An encoder compares the values themselves."""
    frame = pd.DataFrame({"k": pd.Series(R.choice([3, 1, 2], ROWS)).astype(pd.CategoricalDtype([3, 1, 2]))})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, frame.k == 2)
    file = io.BytesIO()
    frame.to_parquet(file)
    found = served(model, frame, sample=("s.parquet", file.getvalue()))
    assert labels(found, [{"k": 1}, {"k": 2}, {"k": 3}]) == [False, True, False]


@pytest.mark.parametrize("classes", [(1, "1"), (True, "true"), (2.5, "2.5")], ids=str)
def test_classes_with_one_name_are_refused(classes):
    """An answer names each probability, and would lose one of the two."""
    with pytest.raises(RefusedModel, match="two of its classes have the same name in JSON"):
        served(Alike(classes).fit(NUMBERS), NUMBERS)


@pytest.mark.parametrize("drop", ["first", "if_binary", None])
def test_a_model_that_no_number_changes_is_compiled_without_a_sample(drop):
    """No row lies next to a boundary then, and no sample stands in for those."""
    frame = pd.DataFrame({"t": R.choice(["a", "b", "c"], ROWS), "g": NUMBERS.b})
    encoder = ColumnTransformer([("known", OneHotEncoder(drop=drop), ["t"])])
    model = make_pipeline(encoder, RandomForestClassifier(3)).fit(frame, frame.t == "a")
    found = served(model, frame, kind="none", is_compiled=True)
    assert found.engine == "onnx", found.document
    assert labels(found, frame.to_dict("records")) == model.predict(frame).tolist()
