"""Registering: every format from a file, with what is found out of it; and what is refused, in words for operators."""

from __future__ import annotations

import asyncio
import io
import json
import time
import zipfile

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from numpy.testing import assert_allclose
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.cluster import DBSCAN
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sqlalchemy import select, update

from admin.facts import InvalidValue, NameTaken
from db.reach import EVERY_TENANT
from db.tables import Version
from tests.support.estimators import matrix, species, whole_bottles
from tests.support.people import client_of, token_of
from tests.support.server import cli_json, run_cli
from tests.support.site import IRIS, dumped
from tests.support.toy_models import Crashes, EatsMemory, HangsAtOnce, LooksAround, Raises, Says, WrongShape

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

SAMPLE = b"x\n0.0\n1.0\n2.0\n"


def iris_model():
    frame, target = species()
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.to_numpy(), target), frame


async def answers(site, name, rows):
    async with site.client(site.key()) as client:
        answer = await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows})
        assert answer.status_code == 200, answer.text
        (details,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
        return answer.json()["predictions"], details


async def test_a_skops_file_is_opened_without_running_code(site):
    """And answers as the estimator does."""
    model, frame = iris_model()
    csv = frame.to_csv(index=False).encode()
    site.register("flowers", "flowers.skops", skops.io.dumps(model), sample_name="a.csv", sample=csv, is_public=True)
    found, details = await answers(site, "flowers", frame.to_dict("records"))
    assert [each["prediction"] for each in found] == model.predict(frame.to_numpy()).tolist()
    assert (details["engine"], details["compilation"]["format"]) == ("onnx", "skops")


@pytest.mark.parametrize("zipmap", [True, False])
async def test_an_onnx_file_is_the_model(site, zipmap):
    """With a dictionary of probabilities as converters make it, or a tensor; its features are named by the sample."""
    model, frame = iris_model()
    given = frame.to_numpy(dtype=np.float32)
    options = {id(model): {"zipmap": zipmap}}
    content = to_onnx(model, given[:1], options=options, target_opset=17).SerializeToString()
    csv = frame.to_csv(index=False).encode()
    site.register("flowers", "flowers.onnx", content, sample_name="a.csv", sample=csv, is_public=True)
    found, details = await answers(site, "flowers", frame.to_dict("records"))
    assert [each["prediction"] for each in found] == model.predict(frame.to_numpy()).tolist()
    names = model.classes_.tolist()
    assert_allclose(
        [[each["probabilities"][n] for n in names] for each in found], model.predict_proba(frame.to_numpy()), atol=1e-5
    )
    assert details["compilation"]["reason"].startswith("registered as ONNX")


async def test_an_onnx_file_without_a_sample_numbers_its_features(site):
    """`x0` to `xN`, as anything unnamed."""
    model, frame = iris_model()
    content = to_onnx(model, frame.to_numpy(dtype=np.float32)[:1], target_opset=17).SerializeToString()
    site.register("flowers", "flowers.onnx", content, is_public=True)
    found, details = await answers(site, "flowers", [dict(zip(("x0", "x1", "x2", "x3"), IRIS.values(), strict=True))])
    assert (list(details["schema"]["properties"]), found[0]["prediction"]) == (["x0", "x1", "x2", "x3"], "setosa")


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("data", ["wine", "breast_cancer", "diabetes"])
async def test_xgboosts_own_files_answer_as_its_class_does(site, tmp_path, suffix, data):
    """Several classes, two, and numbers."""
    frame, target = matrix(data)
    kind = xgboost.XGBRegressor if data == "diabetes" else xgboost.XGBClassifier
    model = kind(n_estimators=10).fit(frame.to_numpy(), target)
    model.save_model(tmp_path / f"model.{suffix}")
    await answers_as(site, model, (tmp_path / f"model.{suffix}").read_bytes(), f"model.{suffix}", frame)


@pytest.mark.parametrize("data", ["wine", "breast_cancer", "diabetes"])
async def test_lightgbms_own_files_answer_as_its_class_does(site, data):
    """Several classes, two, and numbers."""
    frame, target = matrix(data)
    kind = lightgbm.LGBMRegressor if data == "diabetes" else lightgbm.LGBMClassifier
    model = kind(n_estimators=10, verbose=-1).fit(frame.to_numpy(), target)
    await answers_as(site, model, model.booster_.model_to_string().encode(), "model.txt", frame)


async def answers_as(site, model, content, file_name, frame):
    csv = frame.to_csv(index=False).encode()
    site.register("boosted", file_name, content, sample_name="a.csv", sample=csv, is_public=True, is_apart=False)
    found, _ = await answers(site, "boosted", frame.to_dict("records"))
    assert_allclose([each["prediction"] for each in found], model.predict(frame.to_numpy()), rtol=1e-9)
    if hasattr(model, "predict_proba"):
        values = [list(each["probabilities"].values()) for each in found]
        assert_allclose(values, model.predict_proba(frame.to_numpy()), rtol=1e-9)


def external_data(_):
    tensor = numpy_helper.from_array(np.zeros((1, 1), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return "model.onnx", graph_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor])


def graph_of(nodes, constants=()):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])
    graph = helper.make_graph(nodes, "g", [given], [answer], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def loop(_):
    body = helper.make_graph([], "body", [], [])
    return "model.onnx", graph_of([helper.make_node("Loop", ["", "", "x"], ["y"], body=body)])


def tensor_bomb(_):
    shape = numpy_helper.from_array(np.array([1 << 40], np.int64), "shape")
    return "model.onnx", graph_of([helper.make_node("ConstantOfShape", ["shape"], ["y"])], [shape])


def product_bomb(_):
    wide = [numpy_helper.from_array(np.ones((1, 300_000), np.float32), "a")]
    nodes = [helper.make_node("MatMul", ["x", "a"], ["b"]), helper.make_node("Transpose", ["b"], ["c"]),
             helper.make_node("MatMul", ["c", "b"], ["y"])]  # fmt: skip
    return "model.onnx", graph_of(nodes, wide)


def foreign_operator(_):
    return "model.onnx", graph_of([helper.make_node("Whatever", ["x"], ["y"], domain="com.example")])


def zip_bomb(_):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("a.npy", b"\0" * (1 << 30))
    return "model.skops", file.getvalue()


def untrusted(_):
    return "model.skops", skops.io.dumps(Says("1"))


def opens_files():
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

    texts = CountVectorizer(input="filename", vocabulary=["a", "b"])
    return make_pipeline(texts, LinearRegression().fit([[0, 0], [1, 1]], [0.0, 1.0]))


def toy(model):
    return lambda _: ("model.joblib", dumped(model))


BAD_FILES = {
    "a pickle renamed skops": (lambda _: ("m.skops", dumped(LinearRegression())), "is a pickle"),
    "a pickle renamed onnx": (lambda _: ("m.onnx", dumped(LinearRegression())), "is a pickle"),
    "a pickle renamed json": (lambda _: ("m.json", dumped(LinearRegression())), "is a pickle"),
    "a skops file that asks for types": (untrusted, "ADYTON_SKOPS_TRUSTED does not name: tests.support.toy_models.Says"),
    "a zip bomb": (zip_bomb, "zip bomb"),
    "external data": (external_data, "data in other files"),
    "a loop": (loop, "operator Loop"),
    "a tensor as large as it likes": (tensor_bomb, "operator ConstantOfShape"),
    "a product as large as it likes": (product_bomb, "memory|brought its examination down|raises|answer once"),
    "an operator of somebody's own": (foreign_operator, "not ONNX's own|operator Whatever"),
    "noise as onnx": (lambda _: ("m.onnx", b"\x08\x01noise"), "not a sound ONNX graph"),
    "noise as skops": (lambda _: ("m.skops", b"noise"), "not a skops file"),
    "noise as joblib": (lambda _: ("m.joblib", b"noise"), "joblib or pickle"),
    "noise as xgboost": (lambda _: ("m.json", b'{"learner": {}}'), "XGBoost cannot open|brought"),
    "noise as lightgbm": (lambda _: ("m.txt", b"tree\nnoise\nend of trees\n"), "LightGBM cannot open|brought"),
    "half a pickle": (lambda _: ("m.joblib", dumped(LinearRegression())[:-20]), "cannot be opened"),
    "a name that says nothing": (lambda _: ("model", b""), "a model file is named"),
    "no estimator": (toy({"a": 1}), "has no predict"),
    "an estimator that is not fitted": (toy(LinearRegression()), "raises NotFittedError"),
    "a clusterer without predict": (toy(DBSCAN().fit([[0.0], [1.0]])), "has no predict"),
    "a model that raises": (toy(Raises(trigger=2.0)), "raises RuntimeError"),
    "a model of the wrong shape": (toy(WrongShape(trigger=2.0)), "answer once for each row"),
    "a model that opens files": (lambda _: ("m.skops", skops.io.dumps(opens_files())), "names of files"),
    "a model that hangs": (toy(HangsAtOnce()), "did not end in 6 s"),
    "a model that fills the memory": (toy(EatsMemory()), "memory|MemoryError|raises _ArrayMemoryError"),
    "a model that crashes": (toy(Crashes()), "brought its examination down"),
}  # fmt: skip


#: What would take this process along, and what only its own process keeps out. The others are refused the same in any.
APART = {"a product as large as it likes", "noise as xgboost", "noise as lightgbm", "a model that hangs",
         "a model that fills the memory", "a model that crashes", "a zip bomb", "a skops file that asks for types"}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_file_that_cannot_be_served_is_refused_in_words(site, name):
    """For the operator, with nothing listed and nothing stored; everything else goes on being served."""
    make, words = BAD_FILES[name]
    file_name, content = make(site)
    before, seconds = sorted(site.settings.models_dir.rglob("*")), 6 if "hangs" in name else 60
    async with site.client(site.key()) as client:
        with pytest.raises(InvalidValue, match=words):
            await asyncio.to_thread(
                site.register, "bad", file_name, content, sample_name="a.csv", sample=SAMPLE, limit_seconds=seconds
            )
        assert (await client.post("/predict", json=IRIS)).status_code == 200
        assert (await client.get("/v1/models/bad")).status_code == 404
    assert sorted(site.settings.models_dir.rglob("*")) == before


async def test_a_trusted_type_may_be_in_a_skops_file(site):
    """The list is the operator's."""
    content = skops.io.dumps(Says("1"))
    trusted = ("tests.support.toy_models.Says",)
    site.register("says", "a.skops", content, sample_name="a.csv", sample=SAMPLE, trusted=trusted, is_public=True)
    trusting = type(site)(site.directory, skops_trusted=list(trusted))
    found, _ = await answers(trusting, "says", [{"x": 1}])
    assert found == [{"prediction": "1"}]
    async with site.client(site.key()) as client:
        assert (await client.post("/v1/models/says/predict", json={"x": 1})).status_code == 503


TAMPERINGS = {
    "a byte of the file": lambda site, versions: alter(site, versions["1"].artifact_sha256),
    "another file with its row": lambda site, versions: rewrite(site, artifact_sha256=versions["2"].artifact_sha256),
    "another file with its row and MAC": lambda site, versions: rewrite(
        site, artifact_sha256=versions["2"].artifact_sha256, mac=versions["2"].mac
    ),
    "the schema": lambda site, _: rewrite(site, row_schema={"properties": {"x": {"type": "integer"}}}),
    "the tie margin": lambda site, versions: rewrite(site, compilation={**versions["1"].compilation, "tie_margin": 1.0}),
    "the format": lambda site, _: rewrite(site, format="skops"),
    "nothing": lambda *_: None,
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_is_not_as_it_was_registered_is_never_loaded(site, name):
    """Whoever can write to the folder and the database has still no other file opened."""
    for version in ("1", "2"):
        site.model("says", Says(version), [[0.0], [1.0]], ["x"], version=version, alias="production")
    with site.database.reading(EVERY_TENANT) as session:
        versions = {each.name: each for each in session.scalars(select(Version)) if "Says" not in each.format}
        session.expunge_all()
    TAMPERINGS[name](site, versions)
    async with site.client(site.key()) as client:
        answer = await client.post("/v1/models/says/predict?version=1", json={"x": 1})
        assert answer.status_code == (200 if name == "nothing" else 503)
        assert (await client.post("/v1/models/says/predict", json={"x": 1})).json()["prediction"] == "2"


def alter(site, sha256):
    path = site.settings.models_dir / sha256[:2] / sha256
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def rewrite(site, **values):
    with site.owner.transaction(EVERY_TENANT) as session:
        models = (
            select(Version.id)
            .where(Version.name == "1", Version.format == "joblib")
            .order_by(Version.created_at.desc())
        )
        session.execute(update(Version).where(Version.id == session.scalars(models).first()).values(**values))


async def test_the_schema_comes_from_sample_and_model_and_may_be_edited(site, tmp_path):
    """Names, types, categories, nullability and notes; the operator's own bounds, `pii` and words over them."""
    frame, target = whole_bottles()
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    columns = ColumnTransformer([("o", OneHotEncoder(handle_unknown="ignore"), ["colour"]), ("c", OrdinalEncoder(), ["region"]),
                                 ("n", "passthrough", ["alcohol", "vintage", "is_dry"])])  # fmt: skip
    model = make_pipeline(columns, RandomForestClassifier(5, random_state=0)).fit(frame, target)
    given = {
        "properties": {"alcohol": {"minimum": 5, "maximum": 20, "description": "percent"}, "vintage": {"pii": "mask"}}
    }
    (tmp_path / "sample.csv").write_bytes(frame.assign(cultivar=target).to_csv(index=False).encode())
    (tmp_path / "schema.json").write_text(json.dumps(given))
    (tmp_path / "bottles.joblib").write_bytes(dumped(model))
    shown = cli_json(site, "models", "register", "bottles", str(tmp_path / "bottles.joblib"), "--sample", str(tmp_path / "sample.csv"),
                     "--target", "cultivar", "--schema", str(tmp_path / "schema.json"), "--public")  # fmt: skip
    properties = shown["schema"]["properties"]
    assert (shown["version"], shown["aliases"]) == ("1", ["production"])
    assert properties["alcohol"] | {"x-observed": 0} == {
        "type": "number", "x-observed": 0, "pii": "no", "minimum": 5, "maximum": 20, "description": "percent",
    }  # fmt: skip
    assert properties["colour"] == {"type": "string", "x-categories": ["red", "rosé", "white"], "pii": "no"}
    assert properties["region"] == {"type": "string", "enum": ["east", "north", "south"], "pii": "no"}
    assert properties["vintage"] == {"type": "integer", "pii": "mask"}
    assert properties["is_dry"] == {"type": "boolean", "pii": "no"}
    row = {**frame.iloc[0].to_dict(), "vintage": 2001, "is_dry": True}
    async with site.client(site.key()) as client:
        path = "/v1/models/bottles/predict"
        assert (await client.post(path, json=row | {"colour": "unheard of"})).status_code == 200
        for name, value, rule in (("region", "west", "enum"), ("alcohol", 21, "less_than_equal"), ("vintage", 1.5, "type"),
                                  ("colour", None, "type"), ("colour", 1, "type"), ("is_dry", 1, "type")):  # fmt: skip
            refused = await client.post(path, json=row | {name: value})
            assert (refused.status_code, [e["rule"] for e in refused.json()["errors"]]) == (422, [rule]), name
            assert "west" not in refused.text
        twice = json.dumps(row)[:-1] + ', "colour": "red"}'
        assert (await client.post(path, content=twice, headers={"Content-Type": "application/json"})).status_code == 400
        escaped = json.dumps(row | {"colour": 'a "quoted" \\ wörd'})
        assert (
            await client.post(path, content=escaped, headers={"Content-Type": "application/json"})
        ).status_code == 200
        document = (await client.get("/openapi.json")).json()
        assert document["components"]["schemas"]["Row.bottles"]["properties"] == properties
        example = document["paths"]["/v1/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"][
            "examples"
        ]
        assert (await client.post(path, json=example["bottles"]["value"])).status_code == 200


async def test_a_parquet_sample_keeps_its_types(site):
    """Categories that LightGBM was trained on are the values that a row may have; texts may be missing."""
    frame, target = whole_bottles()
    frame = frame.astype({"colour": "category", "region": "category"})
    frame.loc[3, "hue"] = None
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, target)
    file = io.BytesIO()
    frame.to_parquet(file)
    site.register("bottles", "b.joblib", dumped(model), sample_name="s.parquet", sample=file.getvalue(), is_public=True)
    rows = json.loads(frame.to_json(orient="records"))
    found, details = await answers(site, "bottles", rows)
    assert details["schema"]["properties"]["colour"]["enum"] == ["red", "rosé", "white"]
    assert details["schema"]["properties"]["hue"]["type"] == ["number", "null"]
    assert [each["prediction"] for each in found] == model.predict(frame).tolist()


BAD_SCHEMAS = {
    "not an object": [1],
    "no properties": {"type": "object"},
    "an unknown feature": {"properties": {"y": {"minimum": 1}}},
    "an unknown word": {"properties": {"x": {"multipleOf": 2}}},
    "an unknown pii": {"properties": {"x": {"pii": "maybe"}}},
    "a bound that is none": {"properties": {"x": {"minimum": "1"}}},
    "a length of a number": {"properties": {"x": {"minLength": 1}}},
    "a type that is none": {"properties": {"x": {"type": "array"}}},
    "bounds that leave nothing of the sample": {"properties": {"x": {"minimum": 100}}},
    "optional features": {"properties": {"x": {}}, "required": []},
    "more members": {"properties": {"x": {}}, "additionalProperties": True},
    "a number that is too large": {"properties": {"x": {"maximum": 2**70}}},
    "a nest": {"properties": {"x": {"examples": [[[[[[[[[1]]]]]]]]]}}},
    "half a character": {"properties": {"x": {"title": "\ud800"}}},
    "a pattern that is none": {"properties": {"x": {"type": "string", "pattern": "("}}},
}


@pytest.mark.parametrize("name", BAD_SCHEMAS)
def test_a_schema_that_does_not_fit_is_refused(site, name):
    """With its reason, and nothing is registered."""
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 1.0])
    with pytest.raises(InvalidValue):
        site.register(
            "line",
            "a.joblib",
            dumped(model),
            sample_name="a.csv",
            sample=SAMPLE,
            schema=BAD_SCHEMAS[name],
            is_apart=False,
        )


def test_samples_that_do_not_fit_are_refused(site):
    """Columns that are missing or too many, none at all, or no table."""
    frame, target = species()
    model = LogisticRegression(max_iter=1000).fit(frame, target)
    for sample, words in ((b"", "cannot be read"), (b"\x00\xff\xfe", "cannot be read"), (b"a,b\n1,2\n", "lacks columns"), (b"a\n", "no rows"),
                          (b"PAR1 no", "cannot be read"), (b"a,a\n1,2\n", "lacks columns")):  # fmt: skip
        with pytest.raises(InvalidValue, match=words):
            site.register("flowers", "a.joblib", dumped(model), sample_name="a.csv", sample=sample, is_apart=False)
    unnamed = LogisticRegression(max_iter=1000).fit(frame.to_numpy(), target)
    with pytest.raises(InvalidValue, match="--target"):
        csv = frame.assign(species=target).to_csv(index=False).encode()
        site.register("flowers", "a.joblib", dumped(unnamed), sample_name="a.csv", sample=csv, is_apart=False)


def test_names_of_versions_and_aliases_are_told_apart(site):
    """A version is numbered if it is not named; what is taken is taken; no version is named like an alias."""

    def register(**more):
        return site.model("line", LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), [[0.0], [1.0]], ["x"], **more)

    assert [register().name, register(version="v2").name, register(alias="candidate").name] == ["1", "v2", "2"]
    with pytest.raises(NameTaken):
        register(version="v2")
    for more in (
        {"version": "production"},
        {"version": "candidate"},
        {"alias": "v2"},
        {"version": "A"},
        {"version": "a", "alias": "a"},
    ):
        with pytest.raises(InvalidValue):
            register(**more)


def test_the_command_line_registers_promotes_and_shows(site, tmp_path):
    """With one JSON document each, exit code 1 and one line for what is refused."""
    model, frame = iris_model()
    (tmp_path / "a.csv").write_bytes(frame.to_csv(index=False).encode())
    (tmp_path / "a.joblib").write_bytes(dumped(model))
    for version in ("1", "2"):
        made = cli_json(
            site, "models", "register", "flowers", str(tmp_path / "a.joblib"), "--sample", str(tmp_path / "a.csv")
        )
        assert (made["version"], made["compilation"]["engine"]) == (version, "onnx")
    trained = cli_json(
        site, "models", "register", "flowers", str(tmp_path / "a.joblib"), "--engine", "sklearn", "--alias", "plain"
    )
    assert (trained["compilation"]["engine"], trained["compilation"]["reason"]) == ("sklearn", "--engine sklearn")
    assert cli_json(site, "models", "promote", "flowers", "2", "--share", "10")["canary"] == "2"
    assert cli_json(site, "models", "promote", "flowers", "2")["before"] == ["1"]
    assert cli_json(site, "models", "rollback", "flowers")["version"] == "1"
    assert cli_json(site, "models", "retire", "flowers", "2") == {"model": "flowers", "retired": "2"}
    shown = cli_json(site, "models", "show", "flowers", "--version", "production")
    (details,) = shown["details"]
    report = details["compilation"]
    assert {"rows", "label_mismatches", "largest_difference", "versions", "compiled_sha256"} <= report.keys()
    for arguments in (("register", "flowers", "nothing.joblib"), ("promote", "flowers", "9"), ("retire", "flowers", "1"),
                      ("rollback", "flowers"), ("register", "FLOWERS", str(tmp_path / "a.joblib"))):  # fmt: skip
        refused = run_cli(site, "models", *arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), arguments


async def test_admins_register_harmless_files_over_http(site):
    """skops and ONNX, with sample and schema; a pickle never, whatever it is called."""
    model, frame = iris_model()
    csv = ("a.csv", frame.to_csv(index=False).encode())
    async with client_of(site) as admin:
        path = "/admin/models/flowers/versions"
        made = await admin.post(path, files={"file": ("m.skops", skops.io.dumps(model)), "sample": csv},
                                data={"public": "true", "schema": '{"properties": {"sepal length": {"minimum": 0}}}'})  # fmt: skip
        assert (made.status_code, made.json()["version"]) == (201, "1"), made.text
        assert made.json()["schema"]["properties"]["sepal length"]["minimum"] == 0
        content = to_onnx(model, frame.to_numpy(dtype=np.float32)[:1], target_opset=17).SerializeToString()
        second = await admin.post(path, files={"file": ("m.onnx", content), "sample": csv}, data={"version": "onnx"})
        assert (second.status_code, second.json()["compilation"]["engine"]) == (201, "onnx"), second.text
        for files, data, status in (
            ({"file": ("m.joblib", dumped(model))}, {}, 422), ({"file": ("m.skops", dumped(model))}, {}, 422),
            ({"file": ("m.onnx", b"noise")}, {}, 422), ({"sample": csv}, {}, 422), ({"other": csv}, {}, 422),
            ({"file": ("m.onnx", content)}, {"version": "onnx"}, 409), ({"file": ("m.onnx", content)}, {"tenant_id": "x"}, 422),
            ({"file": ("m.onnx", content)}, {"schema": "{"}, 400), ({"file": ("m.onnx", content)}, {"engine": "x"}, 422),
            ({"file": ("m.onnx", content)}, {"version": "production"}, 422),
        ):  # fmt: skip
            refused = await admin.post(path, files=files, data=data)
            assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json"), (
                list(files),
                data,
            )
        json_body = await admin.post(path, json={"file": "x"})
        assert json_body.status_code == 415
        headers = {"Content-Type": "multipart/form-data"}
        assert (await admin.post(path, content=b"noise", headers=headers)).status_code == 400
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert (await admin.post(path, content=b"noise", headers=headers)).status_code in (400, 422)
        events = [each["verb"] for each in (await admin.get("/admin/events")).json()["items"]]
        assert events.count("model.register") >= 2
    small = type(site)(site.directory, max_model_bytes=1000)
    async with small.client() as client:
        client.headers.update(await token_of(client, "admin@all.example.com"))
        too_large = await client.post(path, files={"file": ("m.onnx", content)})
        assert (too_large.status_code, too_large.json()["type"]) == (413, "/problems/too-large")


async def test_predictions_go_on_while_a_file_is_examined(site):
    """In a process of its own: whoever predicts meanwhile notices nothing."""
    model, frame = iris_model()
    csv = ("a.csv", frame.to_csv(index=False).encode())
    key = site.key()
    async with client_of(site) as admin:
        task = asyncio.ensure_future(
            admin.post("/admin/models/m/versions", files={"file": ("m.skops", skops.io.dumps(model)), "sample": csv})
        )
        worst = 0.0
        while not task.done():
            begun = time.perf_counter()
            answer = await admin.post("/predict", json=IRIS, headers={"Authorization": f"Bearer {key}"})
            worst = max(worst, time.perf_counter() - begun)
            assert answer.status_code == 200, answer.text
        assert (await task).status_code == 201
    assert worst < 2.0


async def test_a_text_is_what_it_says_however_it_is_written(site):
    """Half a character is refused, and the same row in other letters has the same inputs and the same fingerprint."""
    frame, target = whole_bottles()
    model = make_pipeline(
        make_column_transformer((OrdinalEncoder(), ["colour", "vintage"]), remainder="drop"), LinearRegression()
    )
    model.fit(frame[["colour", "vintage"]], target)
    csv = frame[["colour", "vintage"]].to_csv(index=False).encode()
    site.register("bottles", "b.joblib", dumped(model), sample_name="s.csv", sample=csv, is_public=True, is_apart=False)
    headers = {"Content-Type": "application/json"}
    async with site.client(site.key()) as client:
        path = "/v1/models/bottles/predict"
        for body in ('{"colour": "ros\\u00e9", "vintage": 2001}', '{"colour": "rosé", "vintage": 2001}'):
            assert (await client.post(path, content=body.encode(), headers=headers)).status_code == 200
        assert (
            await client.post(path, content=b'{"colour": "\\ud800", "vintage": 2001}', headers=headers)
        ).status_code == 400
        unknown = await client.post(path, json={"colour": "red", "vintage": 1700})
        assert (unknown.status_code, unknown.json()["errors"][0]["rule"]) == (422, "enum")
        records = (await client.get("/audit/predictions?model=bottles&outcome=answered")).json()["records"]
    assert len({(record["fingerprint"], str(record["inputs"])) for record in records}) == 1


def test_a_model_without_a_sample_is_not_taken_for_independent(site):
    """Whether rows influence each other is tried on rows of the schema, where there are no others."""
    version = site.register("around", "a.joblib", dumped(LooksAround()), is_apart=False)
    assert version.compilation["batches"] is False
