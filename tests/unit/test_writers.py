"""One guard for every format: the release that wrote a file, beside the one that would open it."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import warnings
import zipfile

import joblib
import lightgbm
import numpy as np
import pytest
import sklearn
import skops.io
import xgboost
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from inference.files.model_files import open_model
from inference.files.refused import RefusedFile
from tests.support.boosted import LABELS, ROWS, lightgbm_model, lightgbm_text, xgboost_bytes, xgboost_model

pytestmark = pytest.mark.filterwarnings("ignore")

HERE = sklearn.__version__
OLD = "1.2.2"


def pipeline():
    """Parts within parts: a pipeline around a column transformer."""
    scaled = ColumnTransformer([("scaled", StandardScaler(), [0, 1])])
    return make_pipeline(scaled, LogisticRegression()).fit(ROWS, LABELS)


def refused(content, kind, trusted=()):
    """The words that refuse a file."""
    with pytest.raises(RefusedFile) as found:
        open_model(content, kind, trusted)
    return str(found.value)


def written_by(library, theirs, ours):
    return f"the file was written by {library} {theirs}, and this is {ours}: fit and save the model again with this one"


def with_skops_release(content, release, occurrence=None):
    """The skops file with another release in one part's state, or in that of every part."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "schema.json":
                marks = re.compile(rb'("_sklearn_version": \{.*?"content": )"\\"' + HERE.encode() + rb'\\""', re.DOTALL)
                found = list(marks.finditer(data))
                assert len(found) > 2
                chosen = found if occurrence is None else [found[occurrence]]
                for match in reversed(chosen):
                    data = data[: match.start()] + match[1] + f'"\\"{release}\\""'.encode() + data[match.end() :]
            other.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("occurrence", [None, 0, 1, -1])
@pytest.mark.parametrize("release", [OLD, "1.7.0", "9.9.9"])
def test_a_skops_file_of_another_scikit_learn_is_refused(occurrence, release):
    """All of it, or one part within another; as the joblib file is, in the same words."""
    content = skops.io.dumps(pipeline())
    assert open_model(content, "skops").predict(ROWS).tolist() == pipeline().predict(ROWS).tolist()
    assert refused(with_skops_release(content, release, occurrence), "skops") == written_by(
        "scikit-learn", release, HERE
    )


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pickle_of_another_scikit_learn_is_refused(protocol, pack):
    """In the words of every other format."""
    searched = GridSearchCV(pipeline(), {"logisticregression__C": [1.0]}, cv=2).fit(ROWS, LABELS)
    content = pickle.dumps(searched, protocol).replace(HERE.encode(), OLD.encode())
    assert refused(pack(content), "joblib") == written_by("scikit-learn", OLD, HERE)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_only_its_own_scikit_learn_opens_says_which_that_is(protocol):
    """Classes have moved since: what is missing would say nothing to an operator."""
    content = pickle.dumps(HistGradientBoostingRegressor(max_iter=2).fit(ROWS, LABELS), protocol)
    gone = content.replace(HERE.encode(), OLD.encode()).replace(
        b"HistGradientBoostingRegressor", b"HistGradientBoostingRegresser"
    )
    assert refused(gone, "joblib") == written_by("scikit-learn", OLD, HERE)


def test_a_part_of_another_release_within_a_foreign_class_is_found():
    """LightGBM's wrapper keeps scikit-learn's LabelEncoder."""
    content = pickle.dumps(lightgbm_model()).replace(HERE.encode(), OLD.encode())
    assert refused(content, "joblib") == written_by("scikit-learn", OLD, HERE)


def xgboost_here():
    return [int(part) for part in re.findall(r"\d+", xgboost.__version__)[:3]]


def xgboost_with(content, release):
    """XGBoost's binary JSON with another release in it."""
    here = bytes(part for number in xgboost_here() for part in (ord("i"), number))
    mark = b"version[#L" + bytes(7) + b"\3"
    assert mark + here in content
    return content.replace(mark + here, mark + bytes(part for number in release for part in (ord("i"), number)))


@pytest.mark.parametrize("release", [(1, 6, 2), (2, 1, 4), (9, 0, 0)])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_of_another_xgboost_is_refused(release, protocol):
    """XGBoost promises nothing for pickles of other releases; alone, and within scikit-learn's own parts."""
    for model in (xgboost_model(), make_pipeline(StandardScaler(), xgboost_model())):
        content = xgboost_with(pickle.dumps(model, protocol), release)
        theirs = ".".join(map(str, release))
        assert refused(content, "joblib") == written_by("XGBoost", theirs, xgboost.__version__)
    assert open_model(pickle.dumps(xgboost_model(), protocol), "joblib").predict(ROWS).shape == (60,)


def test_a_skops_file_with_another_xgboost_is_refused():
    """Its snapshot is a member of its own in the archive; refused before the types in it are looked at."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(xgboost_model()))) as archive, zipfile.ZipFile(file, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(name, xgboost_with(content, (1, 6, 2)) if name.endswith(".bin") else content)
    assert refused(file.getvalue(), "skops") == written_by("XGBoost", "1.6.2", xgboost.__version__)


def test_a_pickle_of_an_early_xgboost_is_refused():
    """Its snapshot was of another form before 1.6."""
    content = pickle.dumps(bytearray(b"CONFIG-offset:" + bytes(8)))
    assert refused(content, "joblib") == written_by("XGBoost", "before 1.6", xgboost.__version__)


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_an_xgboost_file_of_an_older_release_is_taken_and_of_a_newer_one_refused(form):
    """XGBoost reads the model files of every earlier release, and promises nothing for later ones."""

    def written(*release):
        content = xgboost_bytes(form)
        if form == "ubj":
            return xgboost_with(content, release)
        document = json.loads(content)
        return json.dumps({**document, "version": list(release)}).encode()

    expected = open_model(xgboost_bytes(form), "xgboost").predict_proba(ROWS)
    for older in ((1, 6, 2), (2, 0, 0), (3, 0, 0)):
        assert (open_model(written(*older), "xgboost").predict_proba(ROWS) == expected).all()
    major, minor, _ = xgboost_here()
    for newer in ((major, minor + 1, 0), (major + 1, 0, 0)):
        theirs = ".".join(map(str, newer))
        assert refused(written(*newer), "xgboost") == written_by("XGBoost", theirs, xgboost.__version__)


@pytest.mark.parametrize("form", [2, 3])
def test_a_lightgbm_file_of_an_earlier_form_is_taken(form):
    """LightGBM numbers the form of its text, and reads those from 2 to its own."""
    content = lightgbm_text()
    older = content.replace(b"version=v4", f"version=v{form}".encode())
    expected = open_model(content, "lightgbm").predict_proba(ROWS)
    assert older != content
    assert (open_model(older, "lightgbm").predict_proba(ROWS) == expected).all()


def test_a_lightgbm_file_of_another_form_is_refused():
    """A later one, alone or within a pickle or a skops file; and the earliest, which have no number."""
    content, ours = lightgbm_text(), f"{lightgbm.__version__} (forms v2 to v4)"
    words = written_by("LightGBM", "in form v5", ours)
    assert refused(content.replace(b"version=v4", b"version=v5"), "lightgbm") == words
    assert refused(pickle.dumps(lightgbm_model()).replace(b"version=v4", b"version=v5"), "joblib") == words
    early = content.replace(b"version=v4\n", b"")
    assert "LightGBM before 2.1" in refused(early, "lightgbm")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps({"content": content.decode().replace("version=v4", "version=v5")}))
    assert refused(file.getvalue(), "skops") == words


def graph(ir_version, **opsets):
    """A graph of one node, for such releases of ONNX."""
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in "xy")
    made = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [given], [answer])
    imports = [helper.make_opsetid({"ml": "ai.onnx.ml"}.get(name, ""), number) for name, number in opsets.items()]
    return helper.make_model(made, opset_imports=imports, ir_version=ir_version).SerializeToString()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (graph(99, onnx=17), r"in ONNX's IR version 99, and ONNX Runtime [\d.]+ here takes up to \d+: export .* \d+$"),
        (
            graph(10, onnx=199),
            r"for opset 199 of ai\.onnx, and ONNX Runtime [\d.]+ here takes up to \d+: export .* \d+$",
        ),
        (graph(10, onnx=17, ml=99), r"for opset 99 of ai\.onnx\.ml, and ONNX Runtime [\d.]+ here takes up to \d+"),
        (graph(10, ml=99), r"for opset 99 of ai\.onnx\.ml, and ONNX Runtime [\d.]+ here takes up to \d+"),
    ],
    ids=["ir version", "opset", "opset of ml", "opset of ml alone"],
)
def test_a_graph_of_a_newer_onnx_is_refused_with_the_numbers(content, words):
    """Its own number, and the one that ONNX Runtime here takes: a graph with that number is taken."""
    found = refused(content, "onnx")
    assert re.search(words, found), found
    most = int(re.search(r"takes up to (\d+)", found)[1])
    for taken in {"IR": [graph(most, onnx=17)], "of ai.onnx,": [graph(10, onnx=most)]}.items():
        if taken[0] in found:
            assert open_model(taken[1][0], "onnx").content


def test_files_of_the_releases_that_are_here_are_opened():
    """Every kind that the guard looks at, and things beside that only look like a release."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (pipeline(), LinearRegression().fit(ROWS, LABELS)):
            model.note_ = "_sklearn_version version=v9 CatBoost version[#L"
            file = io.BytesIO()
            joblib.dump(model, file)
            assert len(open_model(file.getvalue(), "joblib").predict(ROWS)) == 60
        file = io.BytesIO()
        joblib.dump([LabelEncoder().fit(["a"]), np.arange(3)], file)
        open_model(file.getvalue(), "joblib")
