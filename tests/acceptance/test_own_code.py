"""Models with operators' own code: from `ADYTON_MODELS_PATH`, the same in the examination and in every server."""

from __future__ import annotations

import importlib
import json
import sys
import time

import cloudpickle
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sqlalchemy import select, update

from db.tables import Version
from examination.examine import examine
from examination.orders import Order, RefusedModel
from tests.support.asking import settled
from tests.support.server import cli_json, run_cli
from tests.support.site import dumped

pytestmark = pytest.mark.anyio

STEPS = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from ..amounts import FACTOR

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X):
        from acme.inner.late import shift
        return shift(np.asarray(X, dtype=float) * FACTOR)
"""
SOURCES = {
    "acme/__init__.py": "",
    "acme/amounts.py": "FACTOR = 2.0\n",
    "acme/inner/__init__.py": "",
    "acme/inner/steps.py": STEPS,
    "acme/inner/late.py": "def shift(rows):\n    return rows + 1.0\n",
    "json.py": "raise RuntimeError('this is not the library')\n",
    "admin.py": "raise RuntimeError('this is not the program')\n",
}
X = np.arange(40.0).reshape(20, 2)
Y = X @ [1.0, 3.0]
CSV = b"a,b\n" + b"".join(b"%g,%g\n" % tuple(row) for row in X)
ROW = {"a": 3.0, "b": 4.0}


@pytest.fixture
def folder(tmp_path):
    """A folder of own code; its package can be imported here until the test ends."""
    folder = tmp_path / "code"
    for name, source in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))
    for name in [each for each in sys.modules if each.partition(".")[0] == "acme"]:
        del sys.modules[name]


@pytest.fixture
def model(folder):  # noqa: ARG001  its package is imported
    scaled = importlib.import_module("acme.inner.steps").Scaled()
    return make_pipeline(scaled, LinearRegression()).fit(X, Y)


def register(site, tmp_path, content, *more, suffix="joblib", **environment):
    (tmp_path / f"m.{suffix}").write_bytes(content)
    (tmp_path / "s.csv").write_bytes(CSV)
    file, sample = str(tmp_path / f"m.{suffix}"), str(tmp_path / "s.csv")
    return run_cli(
        site, "models", "register", "own", file, "--sample", sample, "--public", *more, "--json", **environment
    )


def faults(site, **environment):
    """As the list shows them, and as the model does."""
    runs = [run_cli(site, "models", *command, "--json", **environment) for command in (("list",), ("show", "own"))]
    listed = next(each["faults"] for each in json.loads(runs[0].stdout) if each["name"] == "own")
    assert listed == json.loads(runs[1].stdout)["faults"]
    return listed


def test_a_version_lives_and_dies_with_its_own_code(own_site, tmp_path, folder, model, serve):
    """Refused without the folder; served with it; not loaded where a module changed, until it is registered again."""
    site, path = own_site, {"ADYTON_MODELS_PATH": str(folder)}
    refused = register(site, tmp_path, dumped(model))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "No module named 'acme': put it into a folder of ADYTON_MODELS_PATH" in refused.stderr

    made = register(site, tmp_path, dumped(model), **path)
    assert made.returncode == 0, made.stderr
    bound = [name for name, _ in json.loads(made.stdout)["compilation"]["own_code"]]
    assert bound == ["acme", "acme.inner", "acme.inner.steps", "acme.amounts", "acme.inner.late"]
    assert faults(site, **path) == {}
    key, ask = site.key(), "/v1/models/own/predict"
    server = serve(site, **path, ADYTON_DEFAULT_MODEL="own")
    with server.client(key) as client:
        answer = client.post(ask, json=ROW)
        assert answer.status_code == 200, answer.text
        assert answer.json()["prediction"] == pytest.approx(15.0)
        # Changed code changes nothing that is loaded.
        (folder / "acme" / "inner" / "late.py").write_text("def shift(rows):\n    return rows * 0\n")
        assert client.post(ask, json=ROW).json()["prediction"] == pytest.approx(15.0)
    assert server.terminate() == 0
    words = "the module acme.inner.late of ADYTON_MODELS_PATH has changed since the version was registered"
    assert [each[: len(words)] for each in faults(site, **path).values()] == [words]

    server = serve(site, **path, ADYTON_DEFAULT_MODEL="own")
    with server.client(key) as client:
        assert client.get("/health/ready").json()["checks"]["models"] == "unavailable"
        assert client.post(ask, json=ROW).status_code == 503
        assert words in server.log.read_text()
        again = register(site, tmp_path, dumped(model), "--alias", "production", **path)
        assert again.returncode == 0, again.stderr
        wait_for(lambda: client.post(ask, json=ROW).status_code == 200)
        answer = client.post(ask, json=ROW)
        assert answer.json()["version"] == "2"
        assert answer.json()["prediction"] != pytest.approx(15.0)
    assert list(faults(site, **path)) == ["1"]
    refused = run_cli(site, "models", "promote", "own", "1", **path)
    assert (refused.returncode, words in refused.stderr) == (1, True)


def wait_for(is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_skops_files_may_need_own_code_too(own_site, tmp_path, folder, model):
    """What the operator trusts is imported from the folder, and bound to the version alike."""
    given = {"ADYTON_MODELS_PATH": str(folder), "ADYTON_SKOPS_TRUSTED": "acme.inner.steps.Scaled"}
    content = skops.io.dumps(model)
    refused = register(own_site, tmp_path, content, suffix="skops", ADYTON_SKOPS_TRUSTED="acme.inner.steps.Scaled")
    assert (refused.returncode, "put it into a folder of ADYTON_MODELS_PATH" in refused.stderr) == (1, True)
    made = register(own_site, tmp_path, content, suffix="skops", **given)
    assert made.returncode == 0, made.stderr
    assert "acme.inner.steps" in dict(json.loads(made.stdout)["compilation"]["own_code"])
    trial = run_cli(own_site, "models", "promote", "own", "1", **given)
    assert trial.returncode == 0, trial.stderr
    # The digests are under the version's MAC: whoever writes to the database cannot have other code executed.
    with own_site.owner.engine.begin() as connection:
        rows = connection.execute(select(Version.id, Version.compilation)).all()
        (stored,) = (row for row in rows if "own_code" in row.compilation)
        altered = {name: value for name, value in stored.compilation.items() if name != "own_code"}
        connection.execute(update(Version).where(Version.id == stored.id).values(compilation=altered))
    refused = run_cli(own_site, "models", "promote", "own", "1", **given)
    assert (refused.returncode, "is not as it was registered" in refused.stderr) == (1, True)


def test_functions_of_a_notebook_need_a_module_or_cloudpickle(own_site, tmp_path):
    """`__main__` says what to do, and is never taken for a module of ours; by value, a function needs no module."""
    notebook = sys.modules["__main__"]

    def start(rows):
        return rows

    start.__module__, start.__qualname__ = "__main__", "start"
    notebook.start = start
    try:
        pipeline = make_pipeline(FunctionTransformer(start), LinearRegression()).fit(X, Y)
        by_name, by_value = dumped(pipeline), cloudpickle.dumps(pipeline)
    finally:
        del notebook.start
    refused = register(own_site, tmp_path, by_name)
    assert refused.returncode == 1
    assert "the file needs start, which was defined in the notebook or script" in refused.stderr
    made = register(own_site, tmp_path, by_value, suffix="pkl")
    assert made.returncode == 0, made.stderr
    assert "own_code" not in json.loads(made.stdout)["compilation"]


def test_code_that_only_a_row_asks_for_is_named_too():
    """The examination asks the model rows, and says which module they need."""

    def late(rows):
        import nowhere_at_all  # noqa: PLC0415  as the test says

        return nowhere_at_all.of(rows)

    late.__module__ = "__main__"
    model = make_pipeline(FunctionTransformer(late), LinearRegression())
    model[-1].fit(X, Y)
    with pytest.raises(
        RefusedModel, match="No module named 'nowhere_at_all': put it into a folder of ADYTON_MODELS_PATH"
    ):
        examine(cloudpickle.dumps(model), CSV, Order("joblib", sample_name="s.csv"))


async def test_versions_without_digests_are_loaded_as_before(site):
    """Those of earlier releases, and all that need no code of operators' own."""
    assert "own_code" not in cli_json(site, "models", "show", "iris")["details"][0]["compilation"]
    async with site.client(site.key()) as client:
        assert (await settled(client, "/health/ready")).json()["checks"]["models"] == "ok"
