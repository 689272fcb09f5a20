"""The format of a model file: by its content, whatever it is called; and words for files that are something else."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from inference.files.foreign import every_look
from inference.files.formats import format_of
from inference.files.model_files import open_model
from inference.files.refused import RefusedFile
from tests.support.boosted import lightgbm_text, xgboost_bytes
from tests.support.site import dumped

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = np.arange(8.0).reshape(4, 2)


def model():
    return LinearRegression().fit(ROWS, [0.0, 1.0, 2.0, 3.0])


def packed(*names):
    """A zip archive of such members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize("name", ["model.bin", "churn.model", "model", "churn-1.2", "a.pkl", "a.joblib", "a.PICKLE"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_taken_whatever_its_name_leaves_open(name, protocol):
    """Of every protocol; a name that claims no format may hold any."""
    content = pickle.dumps(model(), protocol)
    assert format_of(name, content) == "joblib"
    assert open_model(content, "joblib").predict(ROWS).shape == (4,)


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)], ids=str)
def test_what_joblib_compresses_is_opened(compress):
    """Each of its ways; the arrays in it are those that were saved."""
    file, fitted = io.BytesIO(), model()
    fitted.noted_ = np.random.default_rng(0).random(5_000)
    joblib.dump(fitted, file, compress=compress)
    assert format_of("model.bin", file.getvalue()) == "joblib"
    found = open_model(file.getvalue(), "joblib")
    assert (found.noted_ == fitted.noted_).all()
    assert (found.predict(ROWS) == fitted.predict(ROWS)).all()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_pickle_that_another_tool_packed_is_opened(pack):
    """`gzip model.pkl` leaves what joblib itself could have written."""
    assert open_model(pack(pickle.dumps(model())), "joblib").predict(ROWS).shape == (4,)


def test_a_damaged_file_is_told_from_a_foreign_one():
    """Half a download, and LZ4 where its library is not installed."""
    with pytest.raises(RefusedFile, match="cut off or damaged, copy it again"):
        open_model(gzip.compress(pickle.dumps(model()))[:-9], "joblib")
    with pytest.raises(RefusedFile, match=r"LZ4.*compress=3|cut off or damaged"):
        open_model(b"\x04\x22\x4d\x18noise", "joblib")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (xgboost_bytes("json"), "xgboost"),
        (xgboost_bytes("ubj"), "xgboost"),
        (json.dumps(json.loads(xgboost_bytes("json")), indent=2).encode(), "xgboost"),
        (lightgbm_text(), "lightgbm"),
        (skops.io.dumps(model()), "skops"),
        (dumped(model()), "joblib"),
    ],
    ids=["json", "ubj", "indented json", "lightgbm", "skops", "joblib"],
)
def test_each_format_is_known_by_its_content(content, found):
    """Under a name that says nothing; XGBoost writes `model.bin` and `model.xgb` in its binary JSON."""
    for name in ("model.bin", "model.xgb", "model"):
        assert format_of(name, content) == found
    open_model(content, found)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.skops", dumped(model()), "is a joblib or pickle file, and its name (.skops) says a skops file"),
        ("m.json", dumped(model()), "is a joblib or pickle file, and its name (.json) says an XGBoost model"),
        ("m.onnx", xgboost_bytes("json"), "is an XGBoost model, and its name (.onnx) says an ONNX graph"),
        ("m.txt", xgboost_bytes("ubj"), "is an XGBoost model, and its name (.txt) says a LightGBM model"),
        ("m.pkl", skops.io.dumps(model()), "is a skops file, and its name (.pkl) says a joblib or pickle file"),
        ("m.json", lightgbm_text(), "is a LightGBM model, and its name (.json) says an XGBoost model"),
    ],
)
def test_a_name_that_contradicts_the_content_is_refused(name, content, words):
    """In words that say what the file is; it stays closed."""
    with pytest.raises(RefusedFile) as refused:
        format_of(name, content)
    assert words in str(refused.value)
    assert "give it the name of what it is" in str(refused.value)


OLD_XGBOOST = b"\0\0\0?\3" + bytes(131) + b"\x0f" + bytes(7) + b"binary:logistic\6" + bytes(7) + b"gbtree"
FOREIGN = {
    "an empty file": (b"", "empty"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "XGBoost 1.7's binary": (OLD_XGBOOST, "old binary form: open it with XGBoost 3.0"),
    "XGBoost 1.7's raw bytes": (b"binf" + OLD_XGBOOST, "old binary form"),
    "a dump of XGBoost": (b'[\n  { "nodeid": 0, "depth": 0', "dump of XGBoost's trees"),
    "a dump of LightGBM": (b'{"name": "tree", "version": "v4"', "dump of LightGBM's trees"),
    "saveRDS": (gzip.compress(b"X\n\0\0\0\3\0\4\3\1"), "an R object: in R, save XGBoost with xgb.save"),
    "saveRDS without compression": (b"X\n\0\0\0\2\0\4\3\1", "an R object"),
    "save of R": (bz2.compress(b"RDX3\nX\n\0\0\0\3"), "an R object"),
    "Keras' h5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5 file (as Keras writes): export the model to ONNX"),
    "Keras' keras": (packed("metadata.json", "config.json", "model.weights.h5"), "a Keras model: export"),
    "PMML": (b'<?xml version="1.0"?>\n<PMML xmlns="x">', "a PMML document"),
    "PyTorch's zip": (packed("net/data.pkl", "net/data/0"), "a PyTorch file: export the model to ONNX"),
    "PyTorch's pickle": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "a PyTorch file"),
    "npz": (packed("a.npy"), "an archive of numpy's"),
    "npy": (b"\x93NUMPY\1\0", "an array of numpy's"),
    "Parquet": (b"PAR1\x15", "a Parquet file: that is data; rows"),
    "a packed folder of MLflow": (packed("model/MLmodel", "model/model.pkl"), "packed folder of MLflow"),
    "MOJO": (packed("model.ini"), "model of H2O"),
    "a tarball": (gzip.compress(bytes(257) + b"ustar" + bytes(250)), "a tar archive: unpack it"),
    "safetensors": (b"@\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32"', "a safetensors file"),
    "TensorFlow's SavedModel": (b"\x08\x01\x12\x05hello", "a SavedModel of TensorFlow"),
    "zstd": (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["model.bin", "model", "m.pkl", "m.skops"])
def test_a_file_of_another_kind_is_named(kind, name):
    """With words about what to do, whatever it is called; those that are packed are named once they are unpacked."""
    content, words = FOREIGN[kind]
    with pytest.raises(RefusedFile) as refused:
        open_model(content, format_of(name, content))
    is_packed = content[:2] in (b"\x1f\x8b", b"BZ")
    assert words in str(refused.value) or (is_packed and name == "m.skops" and "its name" in str(refused.value))


def test_what_nothing_knows_is_refused_with_the_list():
    """A note, a CSV and a script are no models."""
    for content in (b"hello", b"a,b\n1,2\n", b"import joblib\n", b"{}"):
        with pytest.raises(RefusedFile, match="none of those that are served"):
            format_of("model", content)


def test_every_look_says_what_to_do():
    """A kind with its article or state, and words behind it."""
    for look in every_look():
        assert len(look.kind) > 4
        assert len(look.advice.split()) > 3
