"""Registering: every format from a file, with what is found out of it; and what is refused, in words for operators."""

from __future__ import annotations

import asyncio
import time

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from numpy.testing import assert_allclose
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from admin.facts import InvalidValue, NameTaken
from tests.support.asking import answers
from tests.support.beside import Bare
from tests.support.estimators import matrix, species
from tests.support.people import client_of, token_of
from tests.support.server import cli_json, run_cli
from tests.support.site import IRIS, dumped
from tests.support.toy_models import LooksAround

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

SAMPLE = b"x\n0.0\n1.0\n2.0\n"


def iris_model():
    frame, target = species()
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.to_numpy(), target), frame


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
        with Bare() as bare:
            while not task.done():
                begun = time.perf_counter()
                answer = await admin.post("/predict", json=IRIS, headers={"Authorization": f"Bearer {key}"})
                worst = max(worst, time.perf_counter() - begun)
                assert answer.status_code == 200, answer.text
                bare.ask()
        assert (await task).status_code == 201
    assert worst < 2.0 + 20 * bare.slowest_seconds


def test_a_model_without_a_sample_is_not_taken_for_independent(site):
    """Whether rows influence each other is tried on rows of the schema, where there are no others."""
    version = site.register("around", "a.joblib", dumped(LooksAround()), is_apart=False)
    assert version.compilation["batches"] is False
