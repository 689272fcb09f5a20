"""Names of features as spreadsheets write them: from the sample to the answer, the log and the terminal."""

from __future__ import annotations

import io
import json

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_allclose
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from audit.searching import MASK
from examination.examine import examine
from examination.orders import Order, RefusedModel
from inference.graphs import Graph
from tests.support.server import cli_json, run_cli
from tests.support.site import dumped

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

#: No-break, ideographic and narrow spaces; invisible characters; line breaks; marks of direction; what JSON and JSON
#: Pointers escape; names that JavaScript, pydantic or we use ourselves; and several that look the same.
NAMES = ["Income\u00a0(EUR)", "Income (EUR)", "Income\u3000(EUR)", "Income\u202f(EUR)", "Income\u200b(EUR)", "Income\u00ad(EUR)",
         "a\tb", "a\nb", "a\r\nb", "\u202eabc\u202c", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u00e9", "e\u0301", 'q"q', "b\\s", "s/l", "t~1",
         "__proto__", "constructor", "rows", "$ref", "\x1b[31mred", "\x7f", "\x9b2J", "\u2028", " lead", "'"]  # fmt: skip
ODD = [*NAMES, "a,b", "<y>", "[x]", "{z}", "a:b", "#", "1", "\ufffd"]
ROWS = np.random.default_rng(0).normal(size=(60, len(ODD)))


def trained(kind, names):
    """A model on a frame with these names, the frame, and the file that holds the model."""
    frame = pd.DataFrame(ROWS[:, : len(names)], columns=names)
    model = kind.fit(frame, (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int))
    return model, frame


def sample_of(frame, kind):
    file = io.BytesIO()
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    return {"sample_name": f"s.{kind}", "sample": file.getvalue()}


async def test_any_name_is_served_as_the_notebook_has_it(own_site):
    """In the schema, the OpenAPI document, the example, pointers, the answer, the record; each told from those like it."""
    model, frame = trained(make_pipeline(StandardScaler(), LogisticRegression()), ODD)
    schema = {"properties": {"a\tb": {"pii": "drop"}, "\u202eabc\u202c": {"pii": "mask"}}}
    given = sample_of(frame, "csv") | {"schema": schema, "is_public": True}
    own_site.register("odd", "m.joblib", dumped(model), is_apart=False, **given)
    rows = frame.to_dict("records")
    async with own_site.client(own_site.key()) as client:
        details = (await client.get("/v1/models/odd")).json()["version_details"][0]
        assert list(details["schema"]["properties"]) == ODD
        assert details["engine"] == "onnx"
        document = (await client.get("/openapi.json")).json()
        assert list(document["components"]["schemas"]["Row.odd"]["properties"]) == ODD
        path = "/v1/models/odd/predict"
        shown = document["paths"]["/v1/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert (await client.post(path, json=shown["examples"]["odd"]["value"])).status_code == 200
        answer = await client.post(f"{path}/batch", json={"rows": rows})
        assert [each["prediction"] for each in answer.json()["predictions"]] == model.predict(frame).tolist()
        one = await client.post(path, content=json.dumps(rows[0]), headers={"Content-Type": "application/json"})
        record = (await client.get(f"/audit/predictions/{one.json()['request_id']}")).json()
        assert record["inputs"][0].keys() == set(ODD) - {"a\tb"}
        assert record["inputs"][0]["\u202eabc\u202c"] == MASK
        again = await client.post(path, json=rows[0])
        other = (await client.get(f"/audit/predictions/{again.json()['request_id']}")).json()
        assert other["fingerprint"] == record["fingerprint"]
        for name, at in (("s/l", "/s~1l"), ("t~1", "/t~01"), ("a\nb", "/a\nb"), ("Income\u00a0(EUR)", "/Income\u00a0(EUR)"),
                         ('q"q', '/q"q'), ("__proto__", "/__proto__")):  # fmt: skip
            refused = await client.post(path, json={**rows[0], name: "x"})
            assert [(each["at"], each["rule"]) for each in refused.json()["errors"]] == [(at, "type")]
        lacking = {name: value for name, value in rows[0].items() if name != "Income\u3000(EUR)"}
        refused = await client.post(path, json={**lacking, "Income\u2003(EUR)": 1.0})
        assert [each["at"] for each in refused.json()["errors"]] == ["", "/Income\u3000(EUR)"]
        twice = json.dumps(rows[0])[:-1] + ', "Income\\u00a0(EUR)": 1.0}'
        refused = await client.post(path, content=twice, headers={"Content-Type": "application/json"})
        assert refused.status_code == 400


def test_names_come_from_any_sample_and_from_the_model_alone():
    """From Parquet, and from `feature_names_in_` where no sample says more."""
    model, frame = trained(LogisticRegression(), ODD)
    for sample in (sample_of(frame, "parquet")["sample"], None):
        found = examine(dumped(model), sample, Order("joblib", sample_name="s.parquet", is_compiled=False))
        assert list(found.row_schema["properties"]) == ODD


KINDS = {
    "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=3),
    "LightGBM": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, min_child_samples=5),
}
#: What these libraries refuse in a name themselves, when they are trained.
REFUSED = {"XGBoost": "[]<", "LightGBM": '",:[]{}\n\r'}


@pytest.mark.parametrize(("library", "kind"), [("XGBoost", "csv"), ("LightGBM", "parquet")])
def test_boosters_take_every_name_that_they_can_be_trained_with(library, kind):
    """LightGBM has `_` for a space, and callers the name of their own column."""
    names = [name for name in ODD if not set(name) & set(REFUSED[library])]
    assert len(names) > 20
    model, frame = trained(KINDS[library](), names)
    given = sample_of(frame, kind)
    found = examine(dumped(model), given["sample"], Order("joblib", sample_name=given["sample_name"]))
    assert list(found.row_schema["properties"]) == names


def test_a_compiled_model_has_such_names_for_its_inputs():
    """One input for each column, where columns are of several types."""
    names = ["Income\u00a0(EUR)", "Income (EUR)", "a\tb", 'q"q', "\U0001f600", "b\\s"]
    frame = pd.DataFrame(ROWS[:, : len(names)], columns=names)
    frame["kind\u200b"] = np.where(ROWS[:, 0] > 0, "u", "v")
    columns = make_column_transformer((OneHotEncoder(), ["kind\u200b"]), (StandardScaler(), names))
    model = make_pipeline(columns, LinearRegression()).fit(frame, ROWS[:, 1])
    given = sample_of(frame, "parquet")
    found = examine(dumped(model), given["sample"], Order("joblib", sample_name="s.parquet"))
    assert list(found.row_schema["properties"]) == [*names, "kind\u200b"]
    assert (found.report.engine, found.report.reason) == ("onnx", None)
    onnx = to_onnx(model, frame[:1], target_opset=17).SerializeToString()
    for graph in (found.compiled, onnx):
        labels, _ = Graph(graph, [*names, "kind\u200b"]).predict(frame.to_dict("records"))
        assert_allclose(labels, model.predict(frame), rtol=1e-9)
    # An exported file has lost the names, and a sample gives them back where they are still told apart.
    names = ["Income\u00a0(EUR)", "1st", "a\tb", "\u00e9+"]
    frame = frame.set_axis([*names, "other", "b\\s", "kind\u200b"], axis=1)
    columns = make_column_transformer((OneHotEncoder(), ["kind\u200b"]), (StandardScaler(), names))
    model = make_pipeline(columns, LinearRegression()).fit(frame, ROWS[:, 1])
    onnx = to_onnx(model, frame[:1], target_opset=17).SerializeToString()
    given = {"properties": {"kind\u200b": {"enum": ["u", "v"]}}}
    order = Order("onnx", sample_name="s.parquet", given=given)
    exported = examine(onnx, sample_of(frame, "parquet")["sample"], order)
    assert list(exported.row_schema["properties"]) == list(frame.columns)


@pytest.mark.parametrize(
    ("name", "words"),
    [("a\0b", 'the name of the feature "a\\x00b" has a NUL or a lone surrogate'),
     ("a\ud800b", 'the name of the feature "a\\ud800b" has a NUL or a lone surrogate'),
     ("x" * 201, f'the name of the feature "{"x" * 40}..." has more than 200 characters'), ("", "a feature has an empty name")],
)  # fmt: skip
def test_a_name_that_cannot_be_sent_is_refused_by_itself(name, words):
    """Of a model, and of a schema that an operator writes."""
    model = LogisticRegression().fit(ROWS[:, :2], ROWS[:, 0] > 0)
    model.feature_names_in_ = np.array([name, "other"], dtype=object)
    with pytest.raises(RefusedModel) as refused:
        examine(dumped(model), None, Order("joblib"))
    assert str(refused.value).startswith(words)
    bare = LogisticRegression().fit(ROWS[:, :2], ROWS[:, 0] > 0)
    given = {"properties": {name: {"type": "number"}, "other": {"type": "number"}}}
    with pytest.raises(RefusedModel) as refused:
        examine(dumped(bare), None, Order("joblib", given=given))
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize("name", ["Income\u00a0(EUR)", "Income\u200b (EUR)", "Income_(eur)", "\uff29ncome (EUR)"])
def test_a_column_that_looks_like_another_is_named_beside_it(name):
    """Nobody sees why "Income (EUR)" should be missing where a no-break space stands in it."""
    model, frame = trained(LogisticRegression(), ["Income (EUR)", "other"])
    sample = sample_of(frame.set_axis([name, "other"], axis=1), "csv")["sample"]
    with pytest.raises(RefusedModel) as refused:
        examine(dumped(model), sample, Order("joblib", sample_name="s.csv"))
    shown_name = name.encode("ascii", "backslashreplace").decode() if not name.isprintable() else name
    assert str(refused.value).endswith(f': Income (EUR) (it has "{shown_name}", which looks like it)')


async def test_a_terminal_shows_such_names_escaped(own_site, tmp_path):
    """In tables, in objects, in refusals and in descriptions; `--json` stays JSON, and says the names as they are."""
    model, frame = trained(LogisticRegression(), NAMES)
    given = sample_of(frame, "parquet") | {"description": "[red]\x1b]0;title\x07 :dog: \u202etxt"}
    own_site.register("odd", "m.joblib", dumped(model), is_apart=False, is_compiled=False, **given)
    shown = run_cli(own_site, "models", "show", "odd").stdout
    listed = run_cli(own_site, "models", "list", COLUMNS="1000").stdout
    assert "Income\\xa0(EUR)" in shown
    assert "\\u202eabc" in shown
    for text in (shown, listed):
        assert_plain(text)
        assert "[red]\\x1b]0;title\\x07 :dog:" in text
    document = cli_json(own_site, "models", "show", "odd")
    assert list(document["details"][0]["schema"]["properties"]) == NAMES
    missing = run_cli(own_site, "models", "register", "odd", str(tmp_path / "\x1b[2J\u202e\n.joblib"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "\\x1b[2J\\u202e\\n.joblib cannot be read" in missing.stderr
    assert_plain(missing.stderr)


def assert_plain(text):
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("has_missing", [False, True])
def test_ids_of_eighteen_digits_are_refused_by_their_column(kind, has_missing):
    """Readers of JSON would round them, and so would pandas where some are missing: the words say what helps."""
    ids = [123456789012345678 + number for number in range(60)]
    frame = pd.DataFrame({"x": ROWS[:, 0], "customer": pd.array(ids, dtype="Int64"), "other": ids})
    if has_missing:
        frame.loc[3, "customer"] = pd.NA
    else:
        frame = frame.astype({"customer": "int64"})
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(
        frame[["x", "customer"]].astype(float), ROWS[:, 0] > 0
    )
    order = Order("joblib", sample_name=f"s.{kind}")
    with pytest.raises(
        RefusedModel, match="the column customer has integers beyond 2\\*\\*53, which readers of JSON round"
    ):
        examine(dumped(model), sample_of(frame, kind)["sample"], order)


def test_long_integers_of_other_columns_refuse_nothing():
    """A column that is no feature may have them, and so may numbers that are no integers."""
    frame = pd.DataFrame({"x": ROWS[:, 0], "amount": ROWS[:, 1] * 1e20, "id": 123456789012345678})
    model = LogisticRegression().fit(frame[["x", "amount"]], ROWS[:, 0] > 0)
    order = Order("joblib", sample_name="s.csv", is_compiled=False)
    found = examine(dumped(model), sample_of(frame, "csv")["sample"], order)
    assert found.row_schema["properties"]["amount"]["type"] == "number"
