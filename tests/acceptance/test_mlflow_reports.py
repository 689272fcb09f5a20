"""Cases of people who serve models that MLflow logged, from their public reports: each answers as its model, or says why not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from admin.facts import InvalidValue
from tests.acceptance.test_mlflow_folders import LABELS, RANDOM, ROWS, edited, inputs, register
from tests.support.asking import answers
from tests.support.mlflow_logs import logged, signed

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

WHOLE = pd.DataFrame({"n": RANDOM.integers(0, 9, 60), "m": RANDOM.integers(0, 9, 60)})
GAPS = WHOLE.astype("Int64").mask(WHOLE > 6)
TEXTS = pd.Series(["good film", "bad film", "good", "bad"] * 5, name="review")
MOODS = np.array([1.0, 0.0] * 10)


def frames(model, rows, targets=None):
    return model.fit(rows, targets if targets is not None else RANDOM.normal(size=len(rows))), rows


def in_pandas():
    """mlflow#12445: a pipeline whose steps hand data frames on."""
    kinds = pd.DataFrame({"kind": np.where(ROWS.a > 0, "x", "y"), "size": ROWS.b})
    encoded = ColumnTransformer(
        [("kind", OneHotEncoder(sparse_output=False), ["kind"]), ("size", StandardScaler(), ["size"])]
    )
    return frames(make_pipeline(encoded, LinearRegression()).set_output(transform="pandas"), kinds, ROWS.c)


def gapped():
    """mlflow#25593: pandas' nullable integers, which MLflow's own enforcement refuses."""
    model = make_pipeline(SimpleImputer(), LinearRegression())
    return model.fit(GAPS.astype(float), WHOLE.n), GAPS


SERVED = {
    "nullable integers with gaps": gapped,
    "an int32 column, of which CSV was refused and JSON not (mlflow#5525)": lambda: frames(
        LogisticRegression(), WHOLE.astype(np.int32), WHOLE.n > 4
    ),
    "a pipeline that hands frames on": in_pandas,
    "columns named by numbers": lambda: frames(LinearRegression(), pd.DataFrame(ROWS.to_numpy())),
    "columns of one width less, in float32": lambda: frames(LinearRegression(), ROWS.astype(np.float32)),
    "names with spaces": lambda: frames(LinearRegression(), ROWS.rename(columns={"a": "sepal length (cm)"})),
}


@pytest.mark.parametrize("name", SERVED)
async def test_a_logged_model_answers_as_it_does_in_the_notebook(site, tmp_path, name):
    """With the signature that MLflow infers and its example, or with either alone."""
    if "float32" in name:
        pytest.importorskip("inference.rows.columns", reason="columns are served as float64 alone")
    model, rows = SERVED[name]()
    facts = {"serialization_format": "cloudpickle"}
    for version, more in enumerate(
        ({"signature": signed(tmp_path, rows)}, {"signature": signed(tmp_path, rows), "input_example": rows.head(20)})
    ):
        model_name = f"m{version}"
        registered = register(site, logged(tmp_path, "sklearn", model, model_name, **facts, **more), model_name)
        names = list(registered.row_schema["properties"])
        plain = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
        found, _ = await answers(site, model_name, [dict(zip(names, row, strict=True)) for row in plain])
        expected = model.predict(rows.astype(float) if name.startswith("nullable") else rows)
        for one, other in zip([each["prediction"] for each in found], expected.tolist(), strict=True):
            assert one == pytest.approx(other, rel=1e-6)


async def test_one_column_of_texts_is_a_series(site, tmp_path):
    """Its signature has a column that a vectorizer takes as bare texts."""
    model = make_pipeline(CountVectorizer(), LinearRegression()).fit(TEXTS, MOODS)
    facts = {"signature": signed(tmp_path, TEXTS), "serialization_format": "cloudpickle"}
    folder = logged(tmp_path, "sklearn", model, **facts)
    registered = register(site, folder)
    (name,) = registered.row_schema["properties"]
    found, _ = await answers(site, "logged", [{name: text} for text in TEXTS])
    np.testing.assert_allclose([each["prediction"] for each in found], model.predict(TEXTS), atol=1e-9)


async def test_whole_numbers_that_were_never_missing_may_not_be(site, tmp_path):
    """MLflow's page on integers with missing values: here it is 422 at the column, and `--schema` lets it be null."""
    model = make_pipeline(SimpleImputer(), LinearRegression()).fit(WHOLE, WHOLE.n)
    facts = {"signature": signed(tmp_path, WHOLE), "serialization_format": "cloudpickle"}
    folder = logged(tmp_path, "sklearn", model, **facts)
    register(site, folder)
    nullable = {"properties": {"n": {"type": ["integer", "null"]}}}
    register(site, folder, "nullable", schema=nullable)
    async with site.client(site.key()) as client:
        answer = await client.post("/v1/models/logged/predict", json={"n": None, "m": 1})
        assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "/n")
        assert (await client.post("/v1/models/nullable/predict", json={"n": None, "m": 1})).status_code == 200


async def test_a_bare_booster_is_served_by_its_own_names(site, tmp_path):
    """`mlflow.xgboost` hands it a frame, where it wants a matrix of its own."""
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(ROWS, LABELS), 3)
    register(site, logged(tmp_path, "xgboost", booster, signature=signed(tmp_path, ROWS)))
    found, _ = await answers(site, "logged", ROWS.to_dict("records"))
    assert [each["prediction"] for each in found] == (booster.predict(xgboost.DMatrix(ROWS)) > 0.5).astype(int).tolist()


async def test_a_signature_in_another_order_moves_no_column(site, tmp_path):
    """A model with names takes each value by its name."""
    model = LinearRegression().fit(ROWS, ROWS.a * 2 - ROWS.c)
    folder = logged(tmp_path, "sklearn", model, signature=signed(tmp_path, ROWS[["c", "a", "b"]]))
    register(site, folder)
    found, _ = await answers(site, "logged", ROWS[["b", "c", "a"]].to_dict("records"))
    np.testing.assert_allclose([each["prediction"] for each in found], model.predict(ROWS), rtol=1e-9)


async def test_the_target_in_a_signature_is_named(site, tmp_path):
    """Inferred from the whole training frame by mistake."""
    frame = ROWS.assign(price=1.0)
    folder = logged(tmp_path, "sklearn", LinearRegression().fit(ROWS, ROWS.a), signature=signed(tmp_path, frame))
    with pytest.raises(InvalidValue, match=r"does not know: price\. The schema is the signature in MLmodel"):
        register(site, folder)
    model = LinearRegression().fit(ROWS.to_numpy(), ROWS.a)
    folder = logged(tmp_path, "sklearn", model, "nameless", signature=signed(tmp_path, frame))
    with pytest.raises(InvalidValue, match=r"price, and the model takes 3 features\. The schema is the signature"):
        register(site, folder)


async def test_a_function_of_a_notebook_that_pickle_left_behind_is_named(site, tmp_path):
    """mlflow#727: `pickle` writes the name of a function and not the function."""
    content = b"\x80\x04\x8c\x08__main__\x8c\x09my_scaler\x93."
    folder = logged(tmp_path, "sklearn", make_pipeline(FunctionTransformer(), LinearRegression()).fit(ROWS, ROWS.a))
    edited(folder, lambda document: document["flavors"]["sklearn"].update(pickled_model="model.pkl"))
    (folder / "model.pkl").write_bytes(content)
    with pytest.raises(InvalidValue, match=r"needs my_scaler, which was defined in the notebook or script"):
        register(site, folder)


async def test_a_wrong_type_in_a_signature_is_corrected_by_the_operator(site, tmp_path):
    """Text in the signature, numbers in the model: `--schema` has the last word."""
    folder = logged(tmp_path, "sklearn", LinearRegression().fit(ROWS, ROWS.a))
    specs = '[{"type": "string", "name": "a"}, {"type": "double", "name": "b"}, {"type": "double", "name": "c"}]'
    edited(folder, inputs(specs))
    with pytest.raises(
        InvalidValue, match=r"cannot answer .*The schema is the signature in MLmodel; --schema corrects it"
    ):
        register(site, folder)
    register(site, folder, schema={"properties": {"a": {"type": "number"}}})


@pytest.mark.parametrize("has_example", [True, False])
async def test_a_column_of_instants_is_served_as_one(site, tmp_path, has_example):
    """`datetime` in the signature: the model's own code asks the column for its hours."""
    scope = {}
    source = "def hours(rows):\n    return rows.assign(at=rows['at'].dt.hour)\n"
    exec(source, scope)
    scope["hours"].__module__ = "__main__"
    rows = pd.DataFrame(
        {"at": pd.date_range("2024-02-28", periods=40, freq="97min", unit="ns"), "n": RANDOM.normal(size=40)}
    )
    model = make_pipeline(FunctionTransformer(scope["hours"]), LinearRegression()).fit(rows, rows["at"].dt.hour * 2.0)
    facts = {"signature": signed(tmp_path, rows), "serialization_format": "cloudpickle"}
    facts |= {"input_example": rows} if has_example else {}
    registered = register(site, logged(tmp_path, "sklearn", model, **facts))
    assert registered.row_schema["properties"]["at"]["format"] == "date-time"
    asked = [{"at": at.isoformat(), "n": n} for at, n in zip(rows["at"], rows["n"], strict=True)]
    found, _ = await answers(site, "logged", asked)
    np.testing.assert_allclose([each["prediction"] for each in found], model.predict(rows), rtol=1e-9)
