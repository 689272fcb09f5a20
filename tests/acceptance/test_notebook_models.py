"""Models as notebooks train them, one test for each that users reported: the answer over HTTP is the notebook's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from tests.support.matrix.asking import Server
from tests.support.matrix.cells import brought
from tests.support.matrix.notebook import ABOVE, CODES, NUMBERS, POSITIVE, coded, refusal_of
from tests.support.matrix.pipelines import of_their_dtypes
from tests.support.matrix.verdicts import verdict_on

pytestmark = pytest.mark.filterwarnings("ignore")

SAMPLES = pytest.mark.parametrize("sample", ["csv", "parquet"])


@pytest.fixture(scope="module")
def server(shared_server):
    with Server(shared_server) as server:
        yield server


@pytest.fixture
def answers_as_itself(server):
    """Registers a model, compares its answer to each row of its training frame, and returns it for further rows."""

    def ask(estimator, frame, given=None, **files):
        case, made = brought(estimator, frame, given, **files), []
        assert verdict_on(case, lambda each: made.append(server.register(each)) or made[0]) == "answers"
        return made[0]

    return ask


def first_one(_):
    return [0]


@pytest.mark.parametrize("booster", [
    LGBMClassifier(n_estimators=20, verbose=-1),
    XGBClassifier(n_estimators=20, enable_categorical=True),
], ids=lambda each: type(each).__name__)  # fmt: skip
@pytest.mark.parametrize(
    ("values", "sample"), [([1, 2, 3], "csv"), (["1st", "2nd", "3rd"], "csv"), ([3, 70, 500], "parquet")], ids=str
)
def test_a_booster_on_categories_gets_them_as_categories(answers_as_itself, booster, values, sample):
    """Not as their codes, and not as numbers: all 300 labels are the notebook's; another category is 422 or its own."""
    frame = coded(values).astype({"c": "category"})
    served = answers_as_itself(booster.fit(frame, ABOVE), frame, sample=sample)
    assert served.document["properties"]["c"]["enum"] == values
    assert "/c" in refusal_of(served, frame, c="4th" if isinstance(values[0], str) else 4)


@pytest.mark.parametrize("booster", [LGBMClassifier(n_estimators=5, verbose=-1), XGBClassifier(n_estimators=5, enable_categorical=True)],
                         ids=lambda each: type(each).__name__)  # fmt: skip
def test_a_boosters_text_categories_are_texts_without_a_sample(answers_as_itself, booster):
    """They never become numbers."""
    frame = coded(["1st", "2nd", "3rd"]).astype({"c": "category"})
    served = answers_as_itself(booster.fit(frame, ABOVE), frame, sample="none")
    assert served.document["properties"]["c"]["enum"] == ["1st", "2nd", "3rd"]


@pytest.mark.parametrize("wrapper", [
    GridSearchCV(XGBClassifier(n_estimators=3), {"max_depth": [2]}, cv=2),
    GridSearchCV(LGBMClassifier(n_estimators=3, verbose=-1), {"max_depth": [2]}, cv=2),
    CalibratedClassifierCV(XGBClassifier(n_estimators=3), cv=2),
    VotingClassifier([("a", XGBClassifier(n_estimators=3)), ("b", LogisticRegression())], voting="soft"),
    StackingClassifier([("a", XGBClassifier(n_estimators=3)), ("b", LGBMClassifier(n_estimators=3, verbose=-1))], cv=2),
], ids=lambda each: f"{type(each).__name__}-{type(getattr(each, 'estimator', None)).__name__}")  # fmt: skip
def test_a_wrapper_keeps_an_unfitted_part_beside_the_fitted_one(answers_as_itself, wrapper):
    """The unfitted one is not asked what it knows."""
    answers_as_itself(wrapper.fit(NUMBERS, POSITIVE), NUMBERS)


def test_a_wrapper_of_several_outputs_keeps_an_unfitted_part_too(answers_as_itself):
    model = MultiOutputClassifier(XGBClassifier(n_estimators=3)).fit(NUMBERS, np.column_stack([POSITIVE, ABOVE]))
    answers_as_itself(model, NUMBERS)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    ("values", "sample"), [([1.0, 2.0, 3.0], "csv"), ([3, 70, 5000], "csv"), ([0.5, 1.5, 7.25], "parquet")], ids=str
)
def test_the_values_that_a_closed_encoder_knows_are_an_enum(answers_as_itself, encoder, values, sample):
    """Floats, integers with gaps and texts: any other value is 422 with its pointer."""
    frame = coded(values)
    model = make_pipeline(
        ColumnTransformer([("e", encoder, ["c"])], remainder="passthrough"), DecisionTreeClassifier(max_depth=4)
    )
    served = answers_as_itself(model.fit(frame, ABOVE), frame, sample=sample)
    assert served.document["properties"]["c"]["enum"] == values
    assert "/c" in refusal_of(served, frame, c="d" if isinstance(values[0], str) else 4)


@pytest.mark.parametrize("chosen", [
    slice(0, 1), slice(None, 1), slice("c", "c"), [0], [-2], np.array([True, False]), first_one,
    make_column_selector("^c$"), make_column_selector(dtype_include=object),
], ids=["slice", "open slice", "slice of names", "position", "negative", "mask", "function", "pattern", "dtype"])  # fmt: skip
def test_an_enum_stands_where_columns_are_chosen_in_any_way(answers_as_itself, chosen):
    """By slices, open ones, positions, masks, functions and selectors."""
    frame = coded(["a", "b", "c"], object)
    model = make_pipeline(
        ColumnTransformer([("e", OneHotEncoder(), chosen)], remainder="passthrough"), LogisticRegression()
    )
    served = answers_as_itself(model.fit(frame, ABOVE), frame, sample="parquet")
    assert served.document["properties"]["c"]["enum"] == ["a", "b", "c"]
    assert "/c" in refusal_of(served, frame, c="d")


@SAMPLES
@pytest.mark.parametrize("filled", [0, 1.5])
def test_an_imputer_of_nullable_integers_gets_floats(answers_as_itself, sample, filled):
    """It was fitted on pandas' `Int64` without a gap, comes to floats, and refuses integers (a CSV file has these)."""
    frame = coded([3, 70, 500]).astype({"c": "Int64"})
    model = make_pipeline(
        ColumnTransformer(
            [("i", SimpleImputer(strategy="constant", fill_value=filled), ["c"])], remainder="passthrough"
        ),
        LogisticRegression(),
    )
    answers_as_itself(model.fit(frame, ABOVE), frame, sample=sample)


@SAMPLES
def test_an_enum_stands_behind_an_imputer_with_indicators(answers_as_itself, sample):
    """A missing value is null, and a value that is neither known nor missing 422."""
    frame = coded(["a", "b", "c"], object)
    frame["c"] = frame["c"].mask(frame.index % 7 == 1)
    words = make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=True), OneHotEncoder())
    model = make_pipeline(ColumnTransformer([("e", words, ["c"])], remainder="passthrough"), LogisticRegression())
    served = answers_as_itself(model.fit(frame, ABOVE), frame, sample=sample)
    assert served.answer({"c": None, "fare": 0.5}).status == 200
    assert "/c" in refusal_of(served, frame, c="d")


@SAMPLES
def test_an_array_of_objects_has_texts_and_numbers(answers_as_itself, sample):
    frame = coded(["a", "b", "c"])
    given = frame.to_numpy(dtype=object)
    model = make_pipeline(
        ColumnTransformer([("e", OneHotEncoder(), [0])], remainder="passthrough"), LogisticRegression()
    )
    served = answers_as_itself(model.fit(given, ABOVE), frame, given, sample=sample)
    assert "/c" in refusal_of(served, frame, c="d")


@pytest.mark.parametrize("model", [LinearRegression(), make_pipeline(LinearRegression())], ids=["bare", "pipeline"])
def test_a_target_of_one_column_is_answered_as_a_number(answers_as_itself, model):
    """`y = df[["price"]]`: predict answers shape (rows, 1)."""
    answers_as_itself(model.fit(NUMBERS, NUMBERS[["a"]] * 3 + 1), NUMBERS)


def test_several_labels_as_a_sparse_matrix_are_lists(answers_as_itself):
    """`OneVsRestClassifier` on a csr target answers a sparse matrix."""
    labels = sparse.csr_matrix(np.column_stack([POSITIVE, ABOVE, NUMBERS.b > 0.5]).astype(int))
    served = answers_as_itself(OneVsRestClassifier(LogisticRegression()).fit(NUMBERS, labels), NUMBERS)
    answer = served.answer(dict(zip("abc", NUMBERS.iloc[0].tolist(), strict=True)))
    assert answer.said["prediction"] == labels[[0]].toarray()[0].tolist()


def test_postal_codes_are_texts_where_the_encoder_knows_texts(answers_as_itself):
    """A CSV file has "02139" as it was, and a caller sends it so; the number is 422."""
    frame = coded(["02139", "10115", "90210"], object)
    model = make_pipeline(
        ColumnTransformer([("e", OneHotEncoder(), ["c"])], remainder="passthrough"), LogisticRegression()
    )
    served = answers_as_itself(model.fit(frame, ABOVE), frame)
    assert served.document["properties"]["c"]["enum"] == ["02139", "10115", "90210"]
    assert "/c" in refusal_of(served, frame, c=2139)


@pytest.mark.parametrize(
    ("values", "sample"),
    [(["NA", "None", "x"], "csv"), (["nan", "null", "N/A"], "csv"), (["NA", "None", "x"], "parquet")],
    ids=str,
)
def test_words_for_nothing_are_texts_where_the_encoder_knows_them(answers_as_itself, values, sample):
    """Namibia's NA is not a missing value."""
    frame = coded(values, object)
    model = make_pipeline(
        ColumnTransformer([("e", OneHotEncoder(), ["c"])], remainder="passthrough"), LogisticRegression()
    )
    served = answers_as_itself(model.fit(frame, ABOVE), frame, sample=sample)
    assert served.document["properties"]["c"]["enum"] == sorted(values)
    assert "/c" in refusal_of(served, frame, c=None)


@pytest.mark.parametrize(
    ("dtype", "sample"), [("datetime64[ns]", "csv"), ("datetime64[us]", "csv"), ("datetime64[s]", "parquet")]
)
def test_a_column_of_instants_is_served_as_instants(answers_as_itself, dtype, sample):
    """A function of the user's own takes months of them; callers send ISO 8601."""
    frame = coded(pd.to_datetime(["2024-02-29 12:00", "1969-07-20 20:17", "2030-12-31 00:01"]).astype(dtype), dtype)
    served = answers_as_itself(
        make_pipeline(FunctionTransformer(months), LogisticRegression()).fit(frame, ABOVE), frame, sample=sample
    )
    assert served.document["properties"]["c"]["format"] == "date-time"
    assert "/c" in refusal_of(served, frame, c="yesterday")
    assert served.answer({"c": "2024-05-05T05:05:05Z", "fare": 1}).status == 200


def months(frame):
    return np.column_stack([frame["c"].dt.month, frame["fare"]])


def only_numbers(frame):
    return frame.select_dtypes("number").fillna(0)


def test_a_function_that_selects_columns_by_dtype_selects_the_same(answers_as_itself):
    """`select_dtypes` of a served frame gives what it gave of the training frame."""
    frame = coded(["a", "b", "c"]).assign(n=CODES, is_new=CODES > 1, at=pd.Timestamp("2024-01-01"))
    model = make_pipeline(FunctionTransformer(only_numbers), LogisticRegression()).fit(frame, ABOVE)
    answers_as_itself(model, frame, sample="parquet")


@pytest.mark.parametrize(
    "dtype", ["str", "string", "Int64", "boolean", "Float64", "float32", "int8", "uint16", "category", "object"]
)
def test_a_column_of_any_dtype_is_served_in_that_dtype(answers_as_itself, dtype):
    """pandas' own and numpy's; a function of the user's own raises for any other."""
    values = {"str": "abc", "string": "abc", "object": "abc", "category": "abc", "boolean": [True, False, True]}.get(
        dtype, [1, 2, 7]
    )
    frame = coded(values).astype({"c": dtype})
    own = FunctionTransformer(of_their_dtypes, kw_args={"dtypes": {"c": dtype, "fare": "float64"}})
    answers_as_itself(
        make_pipeline(own, DecisionTreeClassifier(max_depth=3)).fit(frame, ABOVE), frame, sample="parquet"
    )


@SAMPLES
@pytest.mark.parametrize("vectorizer", [DictVectorizer(), FeatureHasher(64)], ids=lambda each: type(each).__name__)
def test_rows_are_dictionaries_for_a_model_that_takes_them(answers_as_itself, vectorizer, sample):
    """`make_pipeline(DictVectorizer(), LogisticRegression())`."""
    frame = coded(["a", "b", "c"])
    given = frame.to_dict("records")
    answers_as_itself(make_pipeline(vectorizer, LogisticRegression()).fit(given, ABOVE), frame, given, sample=sample)


@pytest.mark.parametrize("values", [["a good one", "a bad one", "none"], ["NA 02139", "1", "true"]], ids=str)
def test_rows_are_texts_for_a_model_that_takes_them(answers_as_itself, values):
    """`make_pipeline(TfidfVectorizer(), ...)` on a list of texts."""
    frame = coded(values)[["c"]]
    given = frame.c.tolist()
    model = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), RandomForestClassifier(5, random_state=0)).fit(
        given, ABOVE
    )
    answers_as_itself(model, frame, given)
