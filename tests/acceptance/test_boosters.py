"""Boosters answer rows of JSON as they answer the frame that they were trained on, or are refused by a column's name."""

from __future__ import annotations

import io
import json
import os
from itertools import cycle

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier, XGBRegressor

from admin.facts import InvalidValue
from examination.columns.sample_columns import rows_of
from tests.support.asking import answers
from tests.support.patience import become
from tests.support.site import dumped

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

ROWS = 300
LGBM = {"n_estimators": 10, "verbose": -1, "n_jobs": 1}
XGB = {"n_estimators": 10, "n_jobs": 1, "enable_categorical": True}
CAT = {"iterations": 10, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
CAT_FEATURES = ["pclass", "port"]


def passengers(*, ports=("S", "C", "Q"), classes=(1, 2, 3)) -> tuple[pd.DataFrame, np.ndarray]:
    """Passengers with a class and a port as pandas categories, and whether each survived."""
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "pclass": pd.Categorical(r.choice(list(classes), ROWS), categories=list(classes)),
            "fare": r.normal(size=ROWS),
            "port": pd.Categorical(r.choice(list(ports), ROWS), categories=list(ports)),
        }
    )
    second, first = frame["pclass"] == classes[1], frame["port"] == ports[0]
    return frame, (second ^ (frame["fare"] > 0) ^ first).astype(int).to_numpy()


def bare_passengers() -> tuple[pd.DataFrame, np.ndarray]:
    """The same as CatBoost takes them: integers and texts."""
    frame, target = passengers()
    return frame.astype({"pclass": int, "port": object}), target


def with_gaps() -> tuple[pd.DataFrame, np.ndarray]:
    frame, target = passengers()
    frame.loc[::7, "pclass"] = None
    frame.loc[::5, "port"] = None
    return frame, target


def the_issues_own() -> tuple[pd.DataFrame, np.ndarray]:
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"pclass": pd.Series(r.integers(1, 4, ROWS)).astype("category"), "fare": r.normal(size=ROWS)})
    return frame, ((frame["pclass"].astype(int) == 2) ^ (frame["fare"] > 0)).astype(int).to_numpy()


def sample_of(frame, kind) -> dict:
    if kind is None:
        return {}
    if kind == "csv":
        return {"sample_name": "s.csv", "sample": frame.to_csv(index=False).encode()}
    file = io.BytesIO()
    frame.to_parquet(file)
    return {"sample_name": "s.parquet", "sample": file.getvalue()}


async def served(site, model, frame, kind, content=None, file_name="m.joblib", **more):
    """Registers the model, has every row answered over HTTP, and compares; returns the schema's properties."""
    name = f"m{os.urandom(8).hex()}"
    site.register(
        name, file_name, content or dumped(model), **sample_of(frame, kind), **more, is_public=True, is_apart=False
    )  # fmt: skip
    await is_served(site, name)
    found, details = await answers(site, name, json.loads(json.dumps(rows_of(frame))))
    labels = [each["prediction"] for each in found]
    wanted = np.asarray(model.predict(frame))
    wanted = wanted.ravel() if wanted.ndim == 2 and wanted.shape[1] == 1 else wanted
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(labels, wanted, rtol=1e-9, atol=1e-9)
    else:
        assert labels == wanted.tolist()
        assert {type(label) for label in labels} == {type(label) for label in wanted.tolist()}
    if hasattr(model, "predict_proba"):
        values = [list(each["probabilities"].values()) for each in found]
        np.testing.assert_allclose(values, model.predict_proba(frame), rtol=1e-9, atol=1e-9)
    return details["schema"]["properties"]


async def is_served(site, *names):
    """Waits until the running program has seen the models."""
    async with site.client(site.key()) as client:

        async def are_listed() -> bool:
            return all([(await client.get(f"/v1/models/{name}")).status_code == 200 for name in names])

        await become(are_listed)


TRAINED = {
    "the issue's own, LightGBM": lambda: fit(LGBMClassifier(**LGBM), the_issues_own),
    "the issue's own, XGBoost": lambda: fit(XGBClassifier(**XGB), the_issues_own),
    "texts, LightGBM": lambda: fit(LGBMClassifier(**LGBM), passengers),
    "texts, XGBoost": lambda: fit(XGBClassifier(**XGB), passengers),
    "letters beyond ASCII, LightGBM": lambda: fit(LGBMClassifier(**LGBM), lambda: passengers(ports=("Süd", "Ærø"))),
    "floats, LightGBM": lambda: fit(LGBMRegressor(**LGBM), lambda: passengers(classes=(0.5, 1.25, 3.0))),
    "truth values, LightGBM": lambda: fit(LGBMClassifier(**LGBM), lambda: passengers(classes=(False, True))),
    "in an order of their own, XGBoost": lambda: fit(XGBRegressor(**XGB), lambda: passengers(classes=(3, 1, 2))),
    "in a pipeline": lambda: fit(make_pipeline(LGBMClassifier(**LGBM)), passengers),
    "in a search": lambda: fit(GridSearchCV(XGBClassifier(**XGB), {"max_depth": [3]}, cv=2), passengers),
    "in a vote of two libraries": lambda: fit(
        VotingClassifier([("a", LGBMClassifier(**LGBM)), ("b", XGBClassifier(**XGB))]), passengers
    ),
}  # fmt: skip


def fit(model, data):
    frame, target = data()
    return model.fit(frame, target), frame


@pytest.mark.parametrize(("case", "kind"), list(zip(TRAINED, cycle(["csv", "csv", None]), strict=False)))
async def test_categories_of_a_booster_are_the_values_of_a_row(shared_site, case, kind):
    """Of integers, floats, truth values and texts; the booster's own list, in its own order, whatever the sample says."""
    model, frame = TRAINED[case]()
    properties = await served(shared_site, model, frame, kind)
    for name in frame.columns.drop("fare"):
        assert properties[name]["enum"] == frame[name].cat.categories.tolist()
        assert properties[name]["x-dtype"] == "category"


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
async def test_a_missing_category_is_null(shared_site, kind):
    """Both libraries take missing values; a sample that has some makes the features nullable."""
    model, frame = fit({"lightgbm": LGBMRegressor(**LGBM), "xgboost": XGBRegressor(**XGB)}[kind], with_gaps)
    properties = await served(shared_site, model, frame, "csv")
    assert (properties["pclass"]["type"], properties["port"]["type"]) == (["integer", "null"], ["string", "null"])


@pytest.mark.parametrize(("suffix", "kind"), [("txt", None), ("json", "csv"), ("ubj", None)])
async def test_a_boosters_own_file_has_its_categories(shared_site, tmp_path, suffix, kind):
    """LightGBM's text, and XGBoost's JSON and UBJSON."""
    model, frame = fit(LGBMClassifier(**LGBM) if suffix == "txt" else XGBClassifier(**XGB), passengers)
    file = tmp_path / f"m.{suffix}"
    getattr(model, "booster_", model).save_model(file)
    properties = await served(shared_site, model, frame, kind, file.read_bytes(), file.name)
    assert properties["pclass"]["enum"] == [1, 2, 3]


@pytest.mark.parametrize(("suffix", "kind"), [("joblib", "csv"), ("cbm", "parquet"), ("json", "csv")])
async def test_catboost_takes_its_categories_as_the_sample_has_them(shared_site, tmp_path, suffix, kind):
    """Any integer or text, since CatBoost refuses none: "02139" and "NA" are texts, "1.0" is, and a Parquet file's True."""
    frame, target = bare_passengers()
    frame["port"] = frame["port"].map({"S": "02139", "C": "NA", "Q": "1.0"})
    frame["is_crew"] = (frame["fare"] > 1).astype(bool if kind == "parquet" else int)
    model = CatBoostClassifier(cat_features=[*CAT_FEATURES, "is_crew"], **CAT).fit(frame, target)
    file = tmp_path / f"m.{suffix}"
    content = dumped(model)
    if suffix != "joblib":
        model.save_model(str(file), format=suffix)
        content = file.read_bytes()
    properties = await served(shared_site, model, frame, kind, content, file.name)
    assert [properties[name]["type"] for name in frame.columns] == [
        "integer", "number", "string", "boolean" if kind == "parquet" else "integer",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [{False: "False", True: "True"}, {False: "02139", True: "10001"}])
async def test_catboosts_categories_that_a_csv_file_does_not_tell_apart_are_refused(shared_site, words):
    """A column of truth values is written like one of such texts, and "02139" may have been read as 2139."""
    frame, target = bare_passengers()
    frame["port"] = frame["port"].map(lambda port: words[port == "S"])
    model = CatBoostClassifier(cat_features=CAT_FEATURES, **CAT).fit(frame, target)
    with pytest.raises(InvalidValue, match="column port has categories that CatBoost knows by their texts"):
        await served(shared_site, model, frame, "csv")
    for more in ({"kind": "parquet"}, {"kind": "csv", "schema": {"properties": {"port": {"type": "string"}}}}):
        properties = await served(shared_site, model, frame, **more)
        assert properties["port"]["type"] == "string"


@pytest.mark.parametrize("gap", [np.nan, None])
async def test_a_missing_category_of_catboost_is_refused_as_it_refuses_it(shared_site, gap):
    """It takes no missing categories, nor floats for any; a row with null is 422."""
    frame, target = bare_passengers()
    model = CatBoostClassifier(cat_features=CAT_FEATURES, **CAT).fit(frame, target)
    missing = frame.assign(port=frame["port"].where(frame["fare"] > 0, gap))
    for given in (missing, frame.astype({"pclass": float})):
        with pytest.raises(InvalidValue, match="its CatBoostClassifier raises CatBoostError"):
            await served(shared_site, model, given, "parquet")


async def test_catboosts_categories_without_a_sample_are_texts(shared_site):
    """The text of an integer is the same category to CatBoost; a text of words is a text."""
    frame, target = bare_passengers()
    frame["note"] = np.where(frame["fare"] > 0, "dry red", "sweet white")
    model = CatBoostRegressor(cat_features=CAT_FEATURES, text_features=["note"], **CAT).fit(frame, target)
    as_texts = frame.astype({"pclass": str})
    assert model.predict(as_texts).tolist() == model.predict(frame).tolist()
    properties = await served(shared_site, model, as_texts, None)
    assert [properties[name]["type"] for name in frame.columns] == ["string", "number", "string", "string"]


@pytest.mark.parametrize(("library", "kind"), [("lightgbm", None), ("xgboost", "csv")])
async def test_codes_are_integers_from_0(shared_site, library, kind):
    """A model that was trained on a matrix of codes takes codes."""
    frame, target = passengers()
    codes = pd.DataFrame({"x0": frame["pclass"].cat.codes.astype(int), "x1": frame["fare"]})
    if library == "lightgbm":
        model = LGBMClassifier(**LGBM).fit(codes.to_numpy(), target, categorical_feature=[0])
    else:
        model = XGBClassifier(feature_types=["c", "q"], **XGB).fit(codes.to_numpy(), target)
    properties = await served(shared_site, model, codes, kind)
    assert (properties["x0"]["type"], properties["x0"]["minimum"]) == ("integer", 0)


async def test_xgboosts_categories_beyond_ascii_need_the_frame_itself(shared_site):
    """XGBoost cuts such texts in wrong places, and answers for another order of them as for other categories."""
    model, frame = fit(XGBClassifier(**XGB), lambda: passengers(ports=("Süd", "Ærø", "West")))
    properties = await served(shared_site, model, frame, "parquet")
    assert properties["port"]["enum"] == ["Süd", "Ærø", "West"]
    turned = frame.assign(port=frame["port"].cat.set_categories(["West", "Ærø", "Süd"]))
    for given, kind in ((frame, "csv"), (frame, None), (turned, "parquet")):
        with pytest.raises(InvalidValue, match="column port cannot be served: XGBoost keeps categories"):
            await served(shared_site, model, given, kind)


async def test_lightgbms_lists_of_categories_that_fit_two_columns_need_the_frame_itself(shared_site):
    """It does not say which column a list of categories belongs to: a declared column of codes could be it as well."""
    frame, target = the_issues_own()
    frame["deck"] = np.arange(ROWS) % 3
    model = LGBMClassifier(**LGBM).fit(frame, target, categorical_feature=["deck"])
    properties = await served(shared_site, model, frame, "parquet")
    assert (properties["pclass"]["enum"], "enum" in properties["deck"]) == ([1, 2, 3], False)
    for kind in ("csv", None):
        with pytest.raises(InvalidValue, match="column deck cannot be served: LightGBM does not say"):
            await served(shared_site, model, frame, kind)


def narrow():
    frame, target = passengers()
    return frame.assign(pclass=frame["pclass"].astype("int32").astype("category")), target


def embedded():
    frame = pd.DataFrame({"face": [[float(n % 5), 1.0] for n in range(ROWS)], "fare": np.arange(ROWS) * 1.0})
    return CatBoostClassifier(embedding_features=["face"], **CAT).fit(frame, np.arange(ROWS) % 2), frame


REFUSED = {
    "categories of int32": (
        lambda: fit(XGBClassifier(**XGB), narrow),
        "column pclass cannot be served: its categories are int32",
    ),
    "an embedding": (embedded, "column face cannot be served: it is an embedding"),
    "categories of several types": (
        lambda: fit(LGBMClassifier(**LGBM), lambda: passengers(ports=("S", 1))),
        "column port cannot be served: its categories are not all texts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_column_that_json_has_no_form_for_is_refused_by_its_name(shared_site, case):
    """And the words say what to do."""
    make, words = REFUSED[case]
    model, frame = make()
    with pytest.raises(InvalidValue, match=words):
        await served(shared_site, model, frame, None)


async def test_a_category_that_the_booster_never_saw_is_refused(shared_site):
    """With the place of the value, and without the value; CatBoost answers it, as it does in a notebook."""
    model, frame = fit(LGBMClassifier(**LGBM), passengers)
    bare, target = bare_passengers()
    open_one = CatBoostClassifier(cat_features=CAT_FEATURES, **CAT).fit(bare, target)
    for name, each, given in (("closed", model, frame), ("open", open_one, bare)):
        shared_site.register(
            name, "m.joblib", dumped(each), **sample_of(given, "csv"), is_public=True, is_apart=False
        )  # fmt: skip
    await is_served(shared_site, "closed", "open")
    row = {"pclass": 2, "fare": 0.5, "port": "Atlantis"}
    async with shared_site.client(shared_site.key()) as client:
        refused = await client.post("/v1/models/closed/predict", json=row)
        answered = await client.post("/v1/models/open/predict", json=row)
    assert (refused.status_code, [error["at"] for error in refused.json()["errors"]]) == (422, ["/port"])
    assert "Atlantis" not in refused.text
    wanted = open_one.predict(pd.DataFrame([row])).tolist()
    assert (answered.status_code, [answered.json()["prediction"]]) == (200, wanted)
