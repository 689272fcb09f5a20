"""Boosters' own files answer as the file's configuration says: the oracle is the library's scikit-learn class."""

from __future__ import annotations

import sys
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from catboost import CatBoostClassifier, CatBoostRanker, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier

from inference.files.model_files import RefusedFile, format_of, open_model

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 300
RANDOM = np.random.default_rng(0)
N = RANDOM.normal(size=(ROWS, 3))
GROUPS = np.arange(ROWS) // 10
TWO = (N[:, 0] > 0).astype(int)
THREE = np.digitize(N[:, 0], [-0.5, 0.5])
LABELS = (N > 0).astype(int)
NUMBERS = N[:, 0] + 0.1 * N[:, 1]
COUNTS = np.abs(np.rint(3 * N[:, 0]))


def own_gradient(target, scores):
    return scores - target, np.ones_like(scores)


def best_of(model, target):
    """The model, with more trees than early stopping found to be the best."""
    return model.fit(N[:200], target[:200], eval_set=[(N[200:], target[200:])])


def quiet_best(model, target):
    return model.fit(N[:200], target[:200], eval_set=[(N[200:], target[200:])], verbose=False)


def xgb(kind, **terms):
    return kind(**{"n_estimators": 5, "n_jobs": 1} | terms)


STOPPED = {"n_estimators": 100, "learning_rate": 1.0, "early_stopping_rounds": 3}
XGBOOST = {
    "two classes": lambda: xgb(XGBClassifier).fit(N, TWO),
    "three classes": lambda: xgb(XGBClassifier).fit(N, THREE),
    "multi:softmax": lambda: xgb(XGBClassifier, objective="multi:softmax").fit(N, THREE),
    "binary:hinge": lambda: xgb(XGBClassifier, objective="binary:hinge").fit(N, TWO),
    "binary:logitraw": lambda: xgb(XGBClassifier, objective="binary:logitraw").fit(N, TWO),
    "several labels": lambda: xgb(XGBClassifier).fit(N, LABELS),
    "several labels in vector leaves": lambda: xgb(XGBClassifier, multi_strategy="multi_output_tree").fit(N, LABELS),
    "reg:logistic, a classifier": lambda: xgb(XGBClassifier, objective="reg:logistic").fit(N, TWO),
    "reg:logistic": lambda: xgb(XGBRegressor, objective="reg:logistic").fit(N, TWO),
    "binary:logistic, a regressor": lambda: xgb(XGBRegressor, objective="binary:logistic").fit(N, TWO),
    "own gradient, a classifier": lambda: xgb(XGBClassifier, objective=own_gradient).fit(N, TWO),
    "own gradient": lambda: xgb(XGBRegressor, objective=own_gradient).fit(N, NUMBERS),
    "count:poisson": lambda: xgb(XGBRegressor, objective="count:poisson").fit(N, COUNTS),
    "survival:cox": lambda: xgb(XGBRegressor, objective="survival:cox").fit(N, COUNTS + 0.1),
    "reg:gamma": lambda: xgb(XGBRegressor, objective="reg:gamma").fit(N, COUNTS + 0.1),
    "three quantiles": lambda: xgb(
        XGBRegressor, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]
    ).fit(N, NUMBERS),
    "three numbers": lambda: xgb(XGBRegressor).fit(N, N * 2),
    "three numbers in vector leaves": lambda: xgb(XGBRegressor, multi_strategy="multi_output_tree").fit(N, N * 2),
    "rank:ndcg": lambda: xgb(XGBRanker, objective="rank:ndcg").fit(N, THREE, qid=GROUPS),
    "rank:map": lambda: xgb(XGBRanker, objective="rank:map").fit(N, TWO, qid=GROUPS),
    "gblinear": lambda: xgb(XGBRegressor, booster="gblinear").fit(N, NUMBERS),
    "gblinear of three": lambda: xgb(XGBClassifier, booster="gblinear").fit(N, THREE),
    "dart": lambda: xgb(XGBClassifier, booster="dart", rate_drop=0.3).fit(N, THREE),
    "a forest": lambda: xgb(XGBRFClassifier).fit(N, TWO),
    "stopped early": lambda: quiet_best(xgb(XGBClassifier, **STOPPED), THREE),
    "softmax stopped early": lambda: quiet_best(xgb(XGBClassifier, objective="multi:softmax", **STOPPED), THREE),
    "dart stopped early": lambda: quiet_best(xgb(XGBClassifier, booster="dart", **STOPPED), THREE),
}  # fmt: skip


def lgbm(kind, **terms):
    return kind(**{"n_estimators": 5, "n_jobs": 1, "verbose": -1} | terms)


FOREST = {"boosting_type": "rf", "subsample_freq": 1, "subsample": 0.5}
LIGHTGBM = {
    "binary": lambda: lgbm(LGBMClassifier).fit(N, TWO),
    "binary with another sigmoid": lambda: lgbm(LGBMClassifier, sigmoid=2).fit(N, TWO),
    "multiclass": lambda: lgbm(LGBMClassifier).fit(N, THREE),
    "multiclassova": lambda: lgbm(LGBMClassifier, objective="multiclassova").fit(N, THREE),
    "cross_entropy": lambda: lgbm(LGBMRegressor, objective="cross_entropy").fit(N, TWO),
    "lambdarank": lambda: lgbm(LGBMRanker).fit(N, THREE, group=[10] * 30),
    "poisson": lambda: lgbm(LGBMRegressor, objective="poisson").fit(N, COUNTS),
    "square roots": lambda: lgbm(LGBMRegressor, reg_sqrt=True).fit(N, COUNTS),
    "not from the average": lambda: lgbm(LGBMClassifier, boost_from_average=False).fit(N, TWO),
    "linear trees": lambda: lgbm(LGBMRegressor, linear_tree=True).fit(N, NUMBERS),
    "a forest": lambda: lgbm(LGBMClassifier, **FOREST).fit(N, TWO),
    "a forest of three": lambda: lgbm(LGBMClassifier, **FOREST).fit(N, THREE),
    "own gradient": lambda: lgbm(LGBMRegressor, objective=own_gradient).fit(N, NUMBERS),
    "own gradient, a classifier": lambda: lgbm(LGBMClassifier, objective=own_gradient).fit(N, TWO),
    "stopped early": lambda: best_of(
        lgbm(LGBMClassifier, n_estimators=100, learning_rate=1.0, early_stopping_round=3), THREE
    ),
}  # fmt: skip


def cat(kind, **terms):
    return kind(**{"iterations": 10, "verbose": 0, "thread_count": 1, "allow_writing_files": False} | terms)


WORDS = np.array(["no", "yes", "maybe"])
CATBOOST = {
    "integers": lambda: cat(CatBoostClassifier).fit(N, TWO + 1),
    "texts": lambda: cat(CatBoostClassifier).fit(N, WORDS[TWO]),
    "truth values": lambda: cat(CatBoostClassifier).fit(N, TWO.astype(bool)),
    "floats": lambda: cat(CatBoostClassifier).fit(N, TWO.astype(float)),
    "class_names": lambda: cat(CatBoostClassifier, class_names=["yes", "no"]).fit(N, WORDS[TWO]),
    "CrossEntropy": lambda: cat(CatBoostClassifier, loss_function="CrossEntropy").fit(N, TWO),
    "MultiClass": lambda: cat(CatBoostClassifier).fit(N, WORDS[THREE]),
    "MultiClassOneVsAll": lambda: cat(CatBoostClassifier, loss_function="MultiClassOneVsAll").fit(N, THREE),
    "MultiLogloss": lambda: cat(CatBoostClassifier, loss_function="MultiLogloss").fit(N, LABELS),
    "another threshold": lambda: with_threshold(cat(CatBoostClassifier).fit(N, TWO)),
    "RMSE": lambda: cat(CatBoostRegressor).fit(N, NUMBERS),
    "MultiRMSE": lambda: cat(CatBoostRegressor, loss_function="MultiRMSE").fit(N, N * 2),
    "MultiQuantile": lambda: cat(CatBoostRegressor, loss_function="MultiQuantile:alpha=0.1,0.5").fit(N, NUMBERS),
    "RMSEWithUncertainty": lambda: cat(CatBoostRegressor, loss_function="RMSEWithUncertainty").fit(N, NUMBERS),
    "Poisson": lambda: cat(CatBoostRegressor, loss_function="Poisson").fit(N, COUNTS),
    "Tweedie": lambda: cat(CatBoostRegressor, loss_function="Tweedie:variance_power=1.5").fit(N, COUNTS),
    "YetiRank": lambda: cat(CatBoostRanker).fit(N, THREE, group_id=GROUPS),
    "uneven trees": lambda: cat(CatBoostClassifier, grow_policy="Lossguide").fit(N, TWO),
}


def with_threshold(model):
    model.set_probability_threshold(0.8)
    return model


def saved(model, tmp_path, suffix) -> tuple[str, bytes]:
    file = tmp_path / f"model.{suffix}"
    if isinstance(model, catboost.CatBoost):
        model.save_model(str(file), format=suffix)
    else:
        getattr(model, "booster_", model).save_model(file)
    return file.name, file.read_bytes()


def opened(model, tmp_path, suffix) -> Any:
    name, content = saved(model, tmp_path, suffix)
    return open_model(content, format_of(name, content))


def assert_same(found, model, given):
    """Numbers within 1e-9 of the library's own, since CatBoost's JSON rounds the last bit; labels identical."""
    wanted = np.asarray(model.predict(given))
    answers = found.predict(given)
    assert answers.shape == wanted.shape
    if answers.dtype.kind == "f":
        np.testing.assert_allclose(answers, wanted, rtol=1e-9, atol=1e-12)
    else:
        assert answers.tolist() == wanted.tolist()
    if hasattr(found, "predict_proba"):
        np.testing.assert_allclose(found.predict_proba(given), model.predict_proba(given), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("case", XGBOOST)
def test_an_xgboost_file_answers_as_its_class_does(case, suffix, tmp_path):
    """By its own number of targets and classes, objective, booster and best iteration."""
    model = XGBOOST[case]()
    found = opened(model, tmp_path, suffix)
    assert_same(found, model, N)
    if isinstance(model, XGBClassifier):
        assert found.predict(N).dtype.kind == "i"
        assert hasattr(found, "predict_proba") == (case not in {"binary:hinge", "binary:logitraw"})
    else:
        assert not hasattr(found, "predict_proba")


@pytest.mark.parametrize("case", LIGHTGBM)
def test_a_lightgbm_file_answers_as_its_class_does(case, tmp_path):
    """By its own objective; a model that was trained on a user's own gradient answers its scores."""
    model = LIGHTGBM[case]()
    found = opened(model, tmp_path, "txt")
    assert_same(found, model, N)
    is_classifier = isinstance(model, LGBMClassifier) and "gradient" not in case
    assert hasattr(found, "predict_proba") == is_classifier


@pytest.mark.parametrize("suffix", ["cbm", "json"])
@pytest.mark.parametrize("case", CATBOOST)
def test_a_catboost_file_answers_as_its_class_does(case, suffix, tmp_path):
    """Its labels have the file's own names and types; a count is a count, and not its logarithm."""
    model = CATBOOST[case]()
    found = opened(model, tmp_path, suffix)
    assert_same(found, model, N)
    assert hasattr(found, "predict_proba") == isinstance(model, CatBoostClassifier)


BARE = {
    "multi:softmax": ({"num_class": 3}, THREE, lambda own: own.astype(int)),
    "binary:hinge": ({}, TWO, lambda own: own.astype(int)),
    "binary:logistic": ({}, LABELS, lambda own: (own > 0.5).astype(int)),
    "binary:logitraw": ({}, TWO, lambda own: own),
    "reg:logistic": ({}, TWO, lambda own: own),
}


@pytest.mark.parametrize("objective", BARE)
def test_a_bare_xgboost_booster_answers_by_its_objective(objective):
    """Without XGBoost's scikit-learn class, a label is an integer only where the objective is one of labels."""
    terms, target, expected = BARE[objective]
    data = xgboost.DMatrix(N, target)
    booster = xgboost.train({"objective": objective, "nthread": 1, **terms}, data, 5)
    found = open_model(bytes(booster.save_raw("ubj")), "xgboost").predict(N)
    wanted = expected(booster.predict(data))
    assert (found.tolist(), found.dtype.kind) == (wanted.tolist(), wanted.dtype.kind)


def test_a_bare_lightgbm_booster_answers_by_its_objective():
    """Three scores of a user's own gradient are numbers; three classes are labels."""
    data = lightgbm.Dataset(N, THREE)
    terms = {"num_class": 3, "verbose": -1, "num_threads": 1}

    def gradient(scores, of):
        scores = scores.reshape(3, -1).T if scores.ndim == 1 else scores
        return scores - np.eye(3)[of.get_label().astype(int)], np.ones_like(scores)

    own = lightgbm.train(terms | {"objective": gradient}, data, 3)
    found = open_model(own.model_to_string().encode(), "lightgbm")
    assert found.predict(N).tolist() == own.predict(N).tolist()
    several = lightgbm.train(terms | {"objective": "multiclass"}, lightgbm.Dataset(N, THREE), 3)
    found = open_model(several.model_to_string().encode(), "lightgbm")
    assert found.predict(N).tolist() == several.predict(N).argmax(axis=1).tolist()


def mixed() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "pclass": pd.Series(random.integers(1, 4, ROWS)).astype("category"),
            "fare": N[:, 0],
            "port": pd.Categorical(random.choice(["S", "C", "Q"], ROWS)),
        }
    )


def survived(frame) -> Any:
    return ((frame["pclass"].astype(int) == 2) ^ (frame["fare"] > 0) ^ (frame["port"] == "C")).astype(int)


@pytest.mark.parametrize("suffix", ["txt", "json", "ubj"])
def test_a_file_with_categories_takes_a_frame_and_no_matrix(suffix, tmp_path):
    """The library takes a matrix of values for its codes without a word; categories in another order are its own."""
    frame = mixed()
    model = (
        lgbm(LGBMClassifier) if suffix == "txt" else xgb(XGBClassifier, enable_categorical=True)
    ).fit(frame, survived(frame))  # fmt: skip
    found = opened(model, tmp_path, suffix)
    assert_same(found, model, frame)
    turned = frame.assign(pclass=frame["pclass"].cat.set_categories([3, 2, 1]))
    assert found.predict(turned).tolist() == model.predict(frame).tolist()
    codes = frame.assign(port=frame["port"].cat.codes).to_numpy(float)
    for verb in (found.predict, found.predict_proba):
        with pytest.raises(TypeError, match="a matrix has none"):
            verb(codes)


@pytest.mark.parametrize("suffix", ["cbm", "json"])
def test_a_catboost_file_with_categories_takes_texts_and_integers(suffix, tmp_path):
    """1 and "1" are one category; columns are told apart by their names; a matrix of numbers is refused."""
    frame = mixed().astype({"pclass": int, "port": object})
    model = cat(CatBoostClassifier, cat_features=["pclass", "port"]).fit(frame, survived(frame))
    found = opened(model, tmp_path, suffix)
    assert_same(found, model, frame)
    assert found.predict(frame.astype({"pclass": str})).tolist() == model.predict(frame).tolist()
    assert found.predict(frame[["port", "fare", "pclass"]]).tolist() == model.predict(frame).tolist()
    with pytest.raises(TypeError, match="a matrix has none"):
        found.predict_proba(np.zeros((1, 3)))


def test_a_catboost_file_with_texts_answers_as_its_class_does(tmp_path):
    """CatBoost writes text features to `.cbm` alone."""
    random = np.random.default_rng(2)
    notes = [" ".join(random.choice(["red", "dry", "sweet", "white"], 3)) for _ in range(ROWS)]
    frame = pd.DataFrame({"note": notes, "fare": N[:, 0]})
    target = frame["note"].str.contains("dry").astype(int)
    model = cat(CatBoostClassifier, text_features=["note"]).fit(frame, target)
    assert_same(opened(model, tmp_path, "cbm"), model, frame)


def test_a_catboost_file_with_embeddings_is_refused(tmp_path):
    """With the column's name."""
    frame = pd.DataFrame({"face": [list(row) for row in N], "fare": N[:, 0]})
    model = cat(CatBoostClassifier, embedding_features=["face"]).fit(frame, TWO)
    with pytest.raises(RefusedFile, match=r"embedding features \(face\)"):
        opened(model, tmp_path, "cbm")


def test_json_is_xgboosts_or_catboosts_by_its_content(tmp_path):
    """Whatever a feature is called."""
    frame = pd.DataFrame({"features_info": N[:, 0], "learner": N[:, 1]})
    for model, kind in ((cat(CatBoostRegressor), "catboost"), (xgb(XGBRegressor), "xgboost")):
        assert format_of(*saved(model.fit(frame, NUMBERS), tmp_path, "json")) == kind


def test_without_the_extra_a_refusal_names_it(tmp_path, monkeypatch):
    """For CatBoost's own files, and for a joblib file that holds its class."""
    from tests.support.site import dumped  # noqa: PLC0415  one test needs it

    model = cat(CatBoostRegressor).fit(N, NUMBERS)
    name, content = saved(model, tmp_path, "cbm")
    pickled = dumped(model)
    # Python's own way to say that a module is not installed.
    for module in [each for each in sys.modules if each.partition(".")[0] in {"catboost", "_catboost"}]:
        monkeypatch.setitem(sys.modules, module, None)
    for kind, given in ((format_of(name, content), content), ("joblib", pickled)):
        with pytest.raises(RefusedFile, match=r"pip install adyton\[catboost\]"):
            open_model(given, kind)


def test_categories_that_xgboost_lost_are_refused(tmp_path):
    """XGBoost before 3.1 wrote that a column has categories, and not which."""
    frame = mixed()
    model = xgb(XGBClassifier, enable_categorical=True).fit(frame, survived(frame))
    _, content = saved(model, tmp_path, "json")
    before = content.replace(b'"cats"', b'"none"')
    with pytest.raises(RefusedFile, match=r"before 3\.1"):
        open_model(before, "xgboost")
