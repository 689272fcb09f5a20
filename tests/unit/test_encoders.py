"""What a model's parts know of its columns, wherever they stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from examination.columns.encoders import known_by_parts, known_dictionaries

COUNT = 60
FRAME = pd.DataFrame(
    {
        "amount": np.linspace(-1, 1, COUNT),
        "grade": [1.0, 2.0, 3.0] * (COUNT // 3),
        "rooms": [1, 5, 9, 9] * (COUNT // 4),
        "city": ["Rome", "NA"] * (COUNT // 2),
    }
)
TARGET = (FRAME["rooms"] == 5).astype(int)


def ends(encoder, columns, **others):
    """A pipeline that gives the encoder those columns."""
    transformer = ColumnTransformer([("encoded", encoder, columns)], **others)
    return make_pipeline(transformer, LogisticRegression())


@pytest.mark.parametrize(
    "columns",
    [
        ["grade", "rooms"], [1, 2], [-3, -2], slice(1, 3), slice("grade", "rooms"), slice(1, -1), np.array([1, 2]),
        [False, True, True, False], np.array([False, True, True, False]), pd.Index(["grade", "rooms"]),
        make_column_selector(pattern="^(?:grade|rooms)$"), lambda _: ["grade", "rooms"],
    ],
    ids=range(12),
)  # fmt: skip
def test_an_encoder_knows_its_columns_however_they_are_given(columns):
    """Names, positions from either end, slices, masks, selectors and functions."""
    known = known_by_parts(ends(OneHotEncoder(), columns).fit(FRAME, TARGET), list(FRAME))
    assert {place: (each.learnt, each.type) for place, each in known.items()} == {
        1: ([1.0, 2.0, 3.0], "number"),
        2: ([1, 5, 9], "integer"),
    }


def test_open_slices_reach_to_the_ends():
    """`slice(2, None)` and `slice(None, "rooms")`."""
    last = known_by_parts(ends(OneHotEncoder(), slice(2, None)).fit(FRAME, TARGET), list(FRAME))
    first = known_by_parts(ends(OneHotEncoder(), slice(None, "rooms")).fit(FRAME, TARGET), list(FRAME))
    assert (sorted(last), sorted(first)) == ([2, 3], [0, 1, 2])


WITH_GAPS = FRAME.assign(grade=FRAME["grade"].mask(FRAME.index % 7 == 0))
IMPUTED = make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=True), OneHotEncoder())
WRAPPERS = {
    "a search": lambda model: GridSearchCV(model, {"logisticregression__C": [1.0]}, cv=2),
    "a calibration": lambda model: CalibratedClassifierCV(model, cv=2),
    "a calibration of a frozen model": lambda model: CalibratedClassifierCV(FrozenEstimator(model.fit(WITH_GAPS, TARGET))),
    "a vote": lambda model: VotingClassifier([("one", model)], voting="soft"),
    "a stack": lambda model: StackingClassifier([("one", model)], cv=2),
    "a bag": lambda model: BaggingClassifier(model, n_estimators=2, bootstrap=False, random_state=0),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_encoder_is_found_behind_an_imputer_within(name):
    """The imputer adds a column for the gaps; the encoder's categories are the original column's own."""
    model = make_pipeline(ColumnTransformer([("grade", IMPUTED, [1])]), LogisticRegression())
    wrapped = WRAPPERS[name](model).fit(WITH_GAPS.drop(columns="city"), TARGET)
    known = known_by_parts(wrapped, ["amount", "grade", "rooms"])
    assert known[1].learnt == [1.0, 2.0, 3.0]
    assert known[1].is_closed


def test_columns_are_followed_through_steps_that_keep_them():
    """A union, a selection, a scaler and a ColumnTransformer that passes columns on, in their new order."""
    moved = ColumnTransformer([("rest", "passthrough", [3, 2]), ("gone", "drop", [0]), ("grade", SimpleImputer(), [1])])
    model = make_pipeline(moved, OrdinalEncoder(), DecisionTreeClassifier()).fit(FRAME, TARGET)
    assert {place: each.learnt[0] for place, each in known_by_parts(model, list(FRAME)).items()} == {
        3: "NA",
        2: 1,
        1: 1.0,
    }
    numbers = FRAME[["amount", "grade", "rooms"]].assign(amount=1.0)
    both = FeatureUnion([("all", "passthrough"), ("same", FunctionTransformer())])
    model = make_pipeline(VarianceThreshold(), both, OneHotEncoder(), LogisticRegression()).fit(numbers, TARGET)
    assert sorted(known_by_parts(model, list(numbers))) == [1, 2]


def test_what_a_step_has_made_is_no_column():
    """Behind a function, categories are those of its results."""
    doubled = make_pipeline(FunctionTransformer(np.square), OneHotEncoder(), LogisticRegression())
    assert known_by_parts(doubled.fit(FRAME[["rooms"]], TARGET), ["rooms"]) == {}


def test_parts_that_take_any_value_are_open():
    """Encoders that ignore the unknown, target encoders, and HistGradientBoosting's own encoder of categories."""
    frame = FRAME.assign(city=FRAME["city"].astype("category"))
    for model in (
        ends(OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ends(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2), ["city"]),
        ends(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["city"]),
        ends(TargetEncoder(cv=2), ["city"]),
        HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype"),
    ):
        known = known_by_parts(model.fit(frame, TARGET), list(frame))[3]
        assert (sorted(known.learnt), known.is_closed) == (["NA", "Rome"], False)


def test_two_encoders_of_one_column_take_what_both_take():
    """The closed one decides; of two closed ones, the categories that both know."""
    both = ColumnTransformer(
        [("a", OneHotEncoder(), ["city"]), ("b", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    assert known_by_parts(make_pipeline(both, LogisticRegression()).fit(FRAME, TARGET), list(FRAME))[3].is_closed
    part = OneHotEncoder(categories=[["Rome", "NA", "Oslo"]])
    both = ColumnTransformer([("a", OneHotEncoder(), ["city"]), ("b", part, ["city"])])
    known = known_by_parts(make_pipeline(both, LogisticRegression()).fit(FRAME, TARGET), list(FRAME))[3]
    assert sorted(known.learnt) == ["NA", "Rome"]


def test_chains_and_many_outputs_share_their_columns():
    """A chain's later parts see columns of its own besides; those are nobody's features."""
    targets = np.column_stack([TARGET, 1 - TARGET])
    part = make_pipeline(ColumnTransformer([("rooms", OneHotEncoder(), [2])]), LogisticRegression())
    for model in (ClassifierChain(part), MultiOutputClassifier(part)):
        frame = FRAME.drop(columns="city").to_numpy()
        assert known_by_parts(model.fit(frame, targets), list("abc"))[2].learnt == [1, 5, 9]


def test_a_vectorizer_of_dictionaries_knows_its_members():
    """Numbers by their names, and the texts that a member had."""
    records = FRAME[["amount", "city"]].to_dict("records")
    model = make_pipeline(DictVectorizer(), StandardScaler(with_mean=False), LogisticRegression()).fit(records, TARGET)
    known = known_dictionaries(model)
    assert {name: (each.type, each.learnt) for name, each in known.items()} == {
        "amount": (None, []), "city": ("string", ["NA", "Rome"]),
    }  # fmt: skip
