"""Folders that MLflow itself wrote, registered as they are: file, signature and input example, and words where not."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from admin.facts import InvalidValue
from admin.models.mlflow_folders import folder_at
from admin.models.registration import Submission, register_version
from inference.files.model_files import FORMATS
from tests.support.asking import answers
from tests.support.mlflow_logs import logged, signed
from tests.support.server import cli_json, run_cli
from tests.support.site import ACTOR

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(RANDOM.normal(size=(80, 3)), columns=["a", "b", "c"])
LABELS = (ROWS.a > 0).astype(int)
#: Floats, whole numbers and texts, one of them at times missing.
MIXED = pd.DataFrame(
    {"size": ROWS.a, "rooms": RANDOM.integers(1, 6, 80), "zip": np.where(ROWS.b > 0, "02139", "NA"), "new": ROWS.c > 0}
)


def fitted():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)


def mixed():
    encoded = ColumnTransformer([("zip", OneHotEncoder(handle_unknown="ignore"), ["zip"])], remainder="passthrough")
    return make_pipeline(encoded, LinearRegression()).fit(MIXED, ROWS.b)


def register(site, path, name="logged", **given):
    """Registers the folder, as the command does."""
    folder = folder_at(path)
    # Other files' tests compile models; here a file and its schema are found.
    submission = Submission(path.name, b"", is_public=True, is_compiled=False, **given)
    with folder.explained(submission):
        return register_version(
            site.database, site.store, site.keyring, actor=ACTOR, name=name, is_apart=False,
            submission=folder.submission(submission),
        ).version  # fmt: skip


def edited(folder, change):
    """The folder with its MLmodel changed by a function."""
    path = folder / "MLmodel"
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document))
    return folder


def features(version):
    return {name: spec["type"] for name, spec in version.row_schema["properties"].items()}


@pytest.mark.parametrize("form", ["skops", "cloudpickle", "pickle"])
async def test_a_scikit_learn_folder_answers_as_its_model(site, tmp_path, form):
    """In each of MLflow's ways to write one; the signature names its columns, and the example is the sample."""
    facts = {"signature": signed(tmp_path, ROWS, LABELS), "input_example": ROWS.head(5), "serialization_format": form}
    version = register(site, logged(tmp_path, "sklearn", fitted(), **facts))
    assert (version.format, features(version)) == (
        "skops" if form == "skops" else "joblib",
        dict.fromkeys("abc", "number"),
    )
    assert version.compilation["sample_rows"] == 5
    found, _ = await answers(site, "logged", ROWS.to_dict("records"))
    assert [each["prediction"] for each in found] == fitted().predict(ROWS).tolist()


async def test_the_command_takes_the_folder(site, tmp_path):
    """The model file alone is stored, so that the version is one of its file."""
    facts = {"signature": signed(tmp_path, ROWS, LABELS), "serialization_format": "pickle"}
    folder = logged(tmp_path, "sklearn", fitted(), **facts)
    shown = cli_json(site, "models", "register", "logged", str(folder), "--engine", "sklearn")
    assert shown["artifact_sha256"] == site.store.put((folder / "model.pkl").read_bytes())
    assert folder_at(folder / "MLmodel") == folder_at(folder)
    refused = run_cli(site, "models", "register", "above", str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("the folder has no MLmodel, and model in it has one: register that folder")


def test_an_address_of_mlflow_is_no_path(tmp_path):
    """A model is fetched before it is registered; a folder of that name is one."""
    for address in ("models:/churn/3", "runs:/0a/model", "s3://bucket/model"):
        with pytest.raises(InvalidValue, match=": begins an address and no path: fetch the model first"):
            folder_at(Path(address))
    assert folder_at(tmp_path / "model.pkl") is None


async def test_types_of_the_signature_become_the_schema(site, tmp_path):
    """Texts that a CSV reader would take for numbers or gaps stay texts; `--schema` corrects what it names."""
    facts = {
        "signature": signed(tmp_path, MIXED, ROWS.b),
        "input_example": MIXED.head(8),
        "serialization_format": "pickle",
    }
    folder = logged(tmp_path, "sklearn", mixed(), **facts)
    version = register(site, folder, schema={"properties": {"rooms": {"minimum": 1, "maximum": 9}}})
    assert features(version) == {"size": "number", "rooms": "integer", "zip": "string", "new": "boolean"}
    assert version.row_schema["properties"]["rooms"]["maximum"] == 9
    found, _ = await answers(site, "logged", MIXED.to_dict("records"))
    np.testing.assert_allclose([each["prediction"] for each in found], mixed().predict(MIXED), rtol=1e-9)
    async with site.client(site.key()) as client:
        row = {**MIXED.to_dict("records")[0], "rooms": 2.5}
        assert (await client.post("/v1/models/logged/predict", json=row)).status_code == 422


@pytest.mark.parametrize("flavour", ["xgboost", "lightgbm", "onnx", "catboost"])
async def test_a_library_of_its_own_is_a_flavour(site, tmp_path, flavour):
    """The folder's one file is recognized by its content, whatever MLflow calls it."""
    if flavour == "catboost" and "catboost" not in FORMATS:
        pytest.skip("CatBoost is not served yet")
    frame = ROWS.astype(np.float32).astype(float)
    model, expected = boosted(flavour, frame)
    version = register(site, logged(tmp_path, flavour, model, signature=signed(tmp_path, signed_rows(flavour, frame))))
    assert version.format == flavour
    names = list(version.row_schema["properties"])
    found, _ = await answers(site, "logged", [dict(zip(names, row, strict=True)) for row in frame.to_numpy().tolist()])
    assert [each["prediction"] for each in found] == expected


def boosted(flavour, frame):
    """A model of the library, and its labels."""
    if flavour == "onnx":
        model = LogisticRegression().fit(frame.to_numpy(), LABELS)
        graph = to_onnx(model, frame.to_numpy(np.float32)[:1], options={"zipmap": False}, target_opset=17)
        return graph, model.predict(frame.to_numpy()).tolist()
    if flavour == "catboost":
        catboost = pytest.importorskip("catboost")
        model = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(frame, LABELS)
    elif flavour == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=3).fit(frame, LABELS)
    else:
        # The wrapper is written with skops, as types that the operator has to trust.
        model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, LABELS)
        return model.booster_, model.predict(frame).tolist()
    return model, np.ravel(model.predict(frame)).tolist()


def signed_rows(flavour, frame):
    return {"X": frame.to_numpy(np.float32)} if flavour == "onnx" else frame


EXAMPLES = {
    "split": ROWS.head(3),
    "split with an index": ROWS.sample(3, random_state=1),
    "records": ROWS.head(3).to_dict("records"),
    "one row": ROWS.to_dict("records")[0],
    "columns": ROWS.head(3).to_dict("list"),
    "with parameters": (ROWS.head(3), {"threshold": 0.5}),
    "whole numbers for floats": [{"a": 1, "b": 2, "c": 3}, {"a": 1.5, "b": 0, "c": 0}],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_form_of_an_input_example_is_a_sample(tmp_path, name):
    """As MLflow writes it for a frame, rows, one row, or columns; with the types of the signature."""
    facts = {"signature": signed(tmp_path, ROWS, LABELS, params={"threshold": 0.5}), "input_example": EXAMPLES[name]}
    folder = folder_at(logged(tmp_path, "sklearn", fitted(), **facts))
    sample = pd.read_parquet(io.BytesIO(folder.submission(Submission("model", b"")).sample))
    given = EXAMPLES[name][0] if isinstance(EXAMPLES[name], tuple) else EXAMPLES[name]
    expected = pd.DataFrame([given] if name == "one row" else given, dtype=float).reset_index(drop=True)
    pd.testing.assert_frame_equal(sample, expected)


async def test_a_matrix_has_a_signature_of_tensors_and_an_example_without_names(shared_site, tmp_path):
    """Its columns are numbered, as those of any model without names."""
    model = LogisticRegression().fit(ROWS.to_numpy(), LABELS)
    version = register(shared_site, logged(tmp_path, "sklearn", model, input_example=ROWS.to_numpy()[:4]))
    assert list(features(version)) == ["x0", "x1", "x2"]
    assert version.compilation["sample_rows"] == 4


async def test_an_operators_own_sample_goes_before_the_example(shared_site, tmp_path):
    """And is what the schema's notes are taken from."""
    facts = {"signature": signed(tmp_path, ROWS, LABELS), "input_example": ROWS.head(2)}
    folder = logged(tmp_path, "sklearn", fitted(), **facts)
    version = register(shared_site, folder, sample_name="s.csv", sample=ROWS.to_csv(index=False).encode())
    assert version.compilation["sample_rows"] == 80


def test_a_column_of_instants_is_one_in_the_schema_and_the_sample(tmp_path):
    """MLflow writes them as texts in ISO form."""
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01 00:00", "2024-02-29 12:30"]), "n": [1.0, np.nan]})
    facts = {"signature": signed(tmp_path, frame, [0, 1]), "input_example": frame}
    folder = folder_at(logged(tmp_path, "sklearn", LinearRegression().fit([[0.0], [1.0]], [0, 1]), **facts))
    submission = folder.submission(Submission("model", b""))
    assert submission.schema["properties"]["at"]["format"] == "date-time"
    sample = pd.read_parquet(io.BytesIO(submission.sample))
    assert sample["at"].tolist() == frame["at"].tolist()
    assert sample["n"].isna().tolist() == [False, True]


OLD_MLMODEL = """
artifact_path: model
flavors:
  python_function: {data: model.pkl, env: conda.yaml, loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.9.1}
run_id: 0123456789abcdef
signature:
  inputs: '[{"name": "a", "type": "double"}, {"name": "b", "type": "float", "optional": true}, {"type": "long", "name": "c"}]'
  outputs: '[{"type": "long"}]'
utc_time_created: '2020-08-13 17:16:31.384236'
saved_input_example_info: {artifact_path: example.json, pandas_orient: split, type: dataframe}
"""


async def test_a_folder_of_mlflow_1_is_taken(shared_site, tmp_path):
    """Its signature says `optional`, or nothing, where later ones say `required`."""
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(ROWS, LABELS)
    folder = logged(tmp_path, "sklearn", model, serialization_format="cloudpickle")
    (folder / "MLmodel").write_text(OLD_MLMODEL)
    (folder / "example.json").write_text(
        '{"columns": ["a", "b", "c"], "index": [4, 7], "data": [[0.5, 1, 2], [0.1, null, 3]]}'
    )
    version = register(shared_site, folder)
    assert features(version) == {"a": "number", "b": ["number", "null"], "c": "integer"}


def no_file(document):
    document["flavors"]["sklearn"]["pickled_model"] = "gone.pkl"


def path_to(named):
    def change(document):
        document["flavors"]["sklearn"]["pickled_model"] = named

    return change


def flavours(**given):
    def change(document):
        document["flavors"] = given

    return change


def inputs(text):
    def change(document):
        document["signature"] = {"inputs": text}

    return change


def columns(*specs):
    return inputs(json.dumps([{"type": kind, "name": name} for name, kind in specs]))


def tensor(*shape):
    return inputs(json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": list(shape)}}]))


ABC = (("a", "double"), ("b", "double"), ("c", "double"))
REFUSED = {
    "a file that is gone": (path_to("gone.pkl"), "names the file gone.pkl, and the folder does not have it"),
    "an absolute path": (path_to("/etc/passwd"), "path to the model (sklearn) is no path within its folder"),
    "a path upwards": (path_to("../model/model.skops"), "is no path within its folder"),
    "a path upwards within": (path_to("a/../../beside"), "is no path within its folder"),
    "a path that is no text": (path_to(["model.pkl"]), "is no path within its folder"),
    "a link out": (path_to("link.pkl"), "leads out of its folder by a link"),
    "a link to a folder outside": (path_to("out/secret.pkl"), "leads out of its folder by a link"),
    "pyfunc alone": (flavours(python_function={"loader_module": "mlflow.pyfunc.model"}), "a Python function alone (pyfunc)"),
    "a flavour that is not served": (flavours(pytorch={"model_data": "data"}, python_function={}), "flavour pytorch is not"),
    "no flavour": (flavours(), "names no flavours"),
    "a flavour without a file": (flavours(sklearn={"sklearn_version": "1.9.1"}), "does not name the file of its flavour sklearn"),
    "a column too many": (columns(*ABC, ("d", "double")), "features that the model does not know: d"),
    "a column too few": (columns(*ABC[:2]), "the signature lacks features that the model takes (c)"),
    "other names": (columns(("x", "double"), ("y", "double"), ("z", "double")), "features that the model does not know: x, y, z"),
    "a type that JSON does not have": (columns(*ABC[:2], ("c", "binary")), "gives the column c the type binary"),
    "a list in a column": (columns(*ABC[:2], ("c", "array")), "gives the column c the type array"),
    "two of one name": (columns(*ABC[:2], ("b", "double")), "two of one name"),
    "images": (tensor(-1, 28, 28), "asks for tensors of 3 dimensions"),
    "a tensor of another width": (tensor(-1, 4), "the signature has 4 columns and the model takes 3 features"),
    "columns without names, too many": (inputs('[{"type":"double"},{"type":"double"}]'), "signature has 2 columns and the model"),
    "a signature that is no JSON": (inputs("[{"), "signature in MLmodel cannot be read"),
    "an example that is gone": (
        lambda document: document.update(saved_input_example_info={"artifact_path": "gone.json"}),
        "does not have its input example gone.json",
    ),
    "an example outside": (
        lambda document: document.update(saved_input_example_info={"artifact_path": "../x.json"}),
        "path to the input example is no path within its folder",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory):
    """A folder of scikit-learn's flavour, with a link out of it; beside it a file that is nobody's business."""
    directory = tmp_path_factory.mktemp("plain")
    (directory / "secret.pkl").write_bytes(b"secret")
    folder = logged(directory, "sklearn", fitted(), signature=signed(directory, ROWS, LABELS))
    (folder / "link.pkl").symlink_to(directory / "secret.pkl")
    (folder / "out").symlink_to(directory)
    return folder


@pytest.mark.parametrize("name", REFUSED)
async def test_a_folder_that_cannot_be_served_is_refused_in_words(shared_site, tmp_path, plain_folder, name):
    """Nothing outside of it is read, and a signature that does not fit its model is no schema."""
    change, words = REFUSED[name]
    shutil.copytree(plain_folder, tmp_path / "model", symlinks=True)
    (tmp_path / "secret.pkl").write_bytes(b"secret")
    with pytest.raises(InvalidValue) as refused:
        register(shared_site, edited(tmp_path / "model", change))
    assert words in str(refused.value)
    assert "secret" not in str(refused.value).replace("out/secret", "")


async def test_a_refusal_says_which_part_of_the_folder_it_is_about(shared_site, tmp_path, plain_folder):
    """A schema that the operator never wrote, and a sample that they never gave."""
    shutil.copytree(plain_folder, tmp_path / "model", symlinks=True)
    (tmp_path / "model/e.json").write_text('[{"a": 1.0, "b": 2.0}]')
    folder = edited(tmp_path / "model", columns(*ABC, ("d", "double")))
    with pytest.raises(InvalidValue, match="The schema is the signature in MLmodel; --schema corrects it"):
        register(shared_site, folder)
    edited(folder, columns(*ABC))
    edited(folder, lambda document: document.update(saved_input_example_info={"artifact_path": "e.json"}))
    with pytest.raises(InvalidValue, match="The sample is the folder's input example; --sample replaces it"):
        register(shared_site, folder)


@pytest.mark.parametrize(
    "text", ["flavors: !!python/object/apply:os.system ['true']", "a: [", "- 1", "", "a: &a [*a, *a]"]
)
def test_an_mlmodel_that_is_no_description_is_refused(tmp_path, text):
    """By a loader that builds plain values alone."""
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(InvalidValue, match=r"MLmodel (is not|names no)"):
        folder_at(tmp_path)


async def test_functions_of_a_notebook_travel_by_value(site, tmp_path):
    """cloudpickle writes them into the file; bytecode of another Python is refused."""
    scope = {}
    exec("def half(rows):\n    return rows / 2\n", scope)
    scope["half"].__module__ = "__main__"
    model = make_pipeline(FunctionTransformer(scope["half"]), LinearRegression()).fit(ROWS, ROWS.a)
    folder = logged(tmp_path, "sklearn", model, serialization_format="cloudpickle", signature=signed(tmp_path, ROWS))
    register(site, folder, "by-value")
    found, _ = await answers(site, "by-value", ROWS.to_dict("records"))
    np.testing.assert_allclose([each["prediction"] for each in found], model.predict(ROWS), rtol=1e-9)
    edited(folder, lambda document: document["flavors"]["python_function"].update(python_version="3.9.18"))
    with pytest.raises(
        InvalidValue, match=r"written by Python 3\.9 with functions of its own in it, and this is 3\.\d+: fit"
    ):
        folder_at(folder)


async def test_code_of_a_folder_is_named_where_the_model_needs_it(shared_site, tmp_path, plain_folder):
    """It is not run from there: the refusal names it, and a folder whose model needs none of it is served."""
    shutil.copytree(plain_folder, tmp_path / "model", symlinks=True)
    edited(tmp_path / "model", lambda document: document["flavors"]["sklearn"].update(code="code"))
    register(shared_site, tmp_path / "model", name="needs-none")
    edited(tmp_path / "model", path_to("own.pkl"))
    (tmp_path / "model/own.pkl").write_bytes(b"\x80\x04\x8c\x08acme_own\x8c\x05Model\x93.")
    words = "not installed here: No module named 'acme_own': put it into a folder of ADYTON_MODELS_PATH. The folder keeps code in code: name that folder in ADYTON_MODELS_PATH"
    with pytest.raises(InvalidValue, match=re.escape(words)):
        register(shared_site, tmp_path / "model", name="needs-own")


async def test_a_folder_of_several_flavours_is_registered_by_the_one_that_runs_no_code(
    shared_site, tmp_path, plain_folder
):
    """XGBoost's own file goes before scikit-learn's pickle."""
    shutil.copytree(plain_folder, tmp_path / "model", symlinks=True)
    model = xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS)
    model.save_model(tmp_path / "model/own.ubj")
    change = {"data": "own.ubj", "model_class": "xgboost.sklearn.XGBClassifier", "xgb_version": "3.2.0"}
    edited(tmp_path / "model", lambda document: document["flavors"].update(xgboost=change))
    assert register(shared_site, tmp_path / "model", name="several").format == "xgboost"


async def test_graphs_with_weights_beside_them_are_refused_in_words(shared_site, tmp_path):
    """MLflow writes large ones so unless it is told."""
    weights = numpy_helper.from_array(RANDOM.normal(size=(400, 2)).astype(np.float32), "w")
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in "xy")
    given.type.tensor_type.shape.dim[1].dim_value = 400
    made = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [given], [answer], [weights])
    graph = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    whole = logged(tmp_path, "onnx", graph, "whole", save_as_external_data=False)
    assert register(shared_site, whole, name="whole").format == "onnx"
    folder = logged(tmp_path, "onnx", graph)
    assert weights.raw_data in [path.read_bytes() for path in folder.iterdir()]
    with pytest.raises(InvalidValue, match=r"data in other files\. Log it again with save_as_external_data=False"):
        register(shared_site, folder)
