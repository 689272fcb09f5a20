"""The knowledge of boosters about their columns, by library, and about columns that they do not tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, LGBMRanker
from sklearn.linear_model import LinearRegression
from xgboost import XGBClassifier, XGBRegressor

from examination.columns.boosters import column_names, known_columns
from inference.estimators import use_one_thread
from inference.files.model_files import open_model
from tests.support.site import dumped

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 300
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "fare": RANDOM.normal(size=ROWS),
        "pclass": pd.Categorical(RANDOM.integers(1, 4, ROWS)),
        "port": pd.Categorical(RANDOM.choice(["S", "C", "Q"], ROWS), categories=["S", "C", "Q"]),
        "size": pd.Categorical(RANDOM.choice(["s", "m"], ROWS), categories=["s", "m"], ordered=True),
        "deck": RANDOM.integers(0, 40, ROWS),
    }
)
TARGET = ((FRAME["fare"] > 0) ^ (FRAME["pclass"] == 2) ^ (FRAME["port"] == "C") ^ (FRAME["size"] == "m")).astype(int)
LGBM = {"n_estimators": 3, "verbose": -1, "n_jobs": 1}
XGB = {"n_estimators": 3, "n_jobs": 1, "enable_categorical": True}
CAT = {"iterations": 3, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
UNFITTED = [
    LGBMClassifier(),
    LGBMRanker(),
    XGBClassifier(),
    XGBRegressor(),
    CatBoostClassifier(),
    LinearRegression(),
    1,
    None,
]


def reopened(model) -> Any:
    return open_model(dumped(model), "joblib")


def learnt(part) -> dict[int, list[Any]]:
    return {place: known.learnt for place, known in known_columns(part).items()}


@pytest.mark.parametrize("part", UNFITTED, ids=lambda part: type(part).__name__)
def test_a_part_that_is_not_fitted_knows_nothing(part):
    """Meta-estimators keep such parts beside the fitted ones."""
    assert known_columns(part) == {}
    assert column_names(part) is None


def test_lightgbm_knows_the_categories_of_each_column():
    """Ordered ones as well, though it splits those as numbers, and columns of codes beside them."""
    model = reopened(LGBMClassifier(**LGBM).fit(FRAME, TARGET))
    expected = {1: [1, 2, 3], 2: ["S", "C", "Q"], 3: ["s", "m"]}
    assert learnt(model) == learnt(model.booster_) == expected
    native = open_model(model.booster_.model_to_string().encode(), "lightgbm")
    assert learnt(native) == expected
    beside = reopened(
        LGBMClassifier(**LGBM).fit(FRAME[["fare", "port", "deck"]], TARGET, categorical_feature=["port", "deck"])
    )
    known = known_columns(beside)
    assert (learnt(beside), known[1].is_dtype, known[2].are_codes) == ({1: ["S", "C", "Q"], 2: []}, True, True)


@pytest.mark.parametrize("declared", [["deck"], ["port", "deck"]])
def test_lightgbms_columns_that_fit_several_lists_cannot_be_read(declared):
    """A column of codes from 0 to 2 could have the list of three texts or integers."""
    frame = FRAME[["fare", "port" if "port" in declared else "pclass", "deck"]].assign(deck=FRAME["deck"] % 3)
    known = known_columns(reopened(LGBMClassifier(**LGBM).fit(frame, TARGET, categorical_feature=declared)))
    assert known
    assert all("give the sample as Parquet" in each.unreadable for each in known.values())


def test_xgboost_knows_the_categories_of_each_column():
    """From its own memory of them, in a class of its own or a bare booster, before and after it was stored."""
    model = XGBClassifier(**XGB).fit(FRAME, TARGET)
    native = open_model(bytes(model.get_booster().save_raw("ubj")), "xgboost")
    for part in (model, reopened(model), reopened(model.get_booster()), native):
        assert learnt(part) == {1: [1, 2, 3], 2: ["S", "C", "Q"], 3: ["s", "m"]}


@pytest.mark.parametrize("texts", [["Süd", "West"], ["éa", "bb"], ["ab", "ü"], ["中文", "ascii"], ["x" * 50, "ß"]])
def test_every_text_beyond_ascii_makes_xgboosts_list_unreadable(texts):
    """Also those whose cut texts are whole letters again: "éa", "bb" becomes "é", "ab"."""
    frame = FRAME[["fare"]].assign(port=pd.Categorical(RANDOM.choice(texts, ROWS), categories=texts))
    (known,) = known_columns(XGBClassifier(**XGB).fit(frame, TARGET)).values()
    assert "letters beyond ASCII" in known.unreadable


def test_xgboosts_columns_of_codes_are_codes():
    """A matrix has no categories to remember."""
    data = xgboost.DMatrix(
        np.column_stack([FRAME["pclass"].cat.codes, FRAME["fare"]]), TARGET, feature_types=["c", "q"],
        enable_categorical=True,
    )  # fmt: skip
    booster = xgboost.train({"nthread": 1}, data, 3)
    assert {place: known.are_codes for place, known in known_columns(booster).items()} == {0: True}


def test_catboost_knows_names_categories_and_texts():
    """Its `n_features_in_` is 0 after it was stored, and a matrix's columns have no names."""
    frame = FRAME[["fare", "deck"]].assign(note=np.where(FRAME["fare"] > 0, "dry red", "sweet white"))
    fitted = CatBoostClassifier(cat_features=["deck"], text_features=["note"], **CAT).fit(frame, TARGET)
    known = known_columns(reopened(fitted))
    assert {place: (each.type, each.are_digests) for place, each in known.items()} == {
        1: ("string", True),
        2: ("string", False),
    }
    assert column_names(reopened(fitted)) == ["fare", "deck", "note"]
    assert column_names(reopened(CatBoostClassifier(**CAT).fit(FRAME[["fare", "deck"]].to_numpy(), TARGET))) == 2


def test_catboost_is_asked_with_one_thread():
    """Each call takes the number by itself, and all processors unless it is told; the answers stay the same."""
    model = CatBoostClassifier(**CAT).fit(FRAME[["fare", "deck"]], TARGET)
    before = model.predict_proba(FRAME[["fare", "deck"]])
    use_one_thread(model)
    assert model.predict.keywords == model.predict_proba.keywords == {"thread_count": 1}
    assert (model.predict_proba(FRAME[["fare", "deck"]]) == before).all()
