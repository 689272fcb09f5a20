"""Model files that cannot be served, each with words from its refusal."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import skops.io
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from tests.support.site import dumped
from tests.support.toy_models import Crashes, EatsMemory, HangsAtOnce, Raises, Says, WrongShape


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
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "b"], ["y"]),
    ]
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
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415  one case needs it

    texts = CountVectorizer(input="filename", vocabulary=["a", "b"])
    return make_pipeline(texts, LinearRegression().fit([[0, 0], [1, 1]], [0.0, 1.0]))


def toy(model):
    return lambda _: ("model.joblib", dumped(model))


BAD_FILES = {
    "a pickle renamed skops": (lambda _: ("m.skops", dumped(LinearRegression())), "is a joblib or pickle file, and its name"),
    "a pickle renamed onnx": (lambda _: ("m.onnx", dumped(LinearRegression())), "is a joblib or pickle file, and its name"),
    "a pickle renamed json": (lambda _: ("m.json", dumped(LinearRegression())), "is a joblib or pickle file, and its name"),
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
    "noise as catboost": (lambda _: ("m.cbm", b"CBM1noise"), "CatBoost cannot open|brought"),
    "noise as catboost's json": (lambda _: ("m.json", b'{"features_info": {}}'), "CatBoost cannot open|brought"),
    "another model as catboost": (lambda _: ("m.cbm", b"tree\nversion=v4\nend of trees\n"), "says a CatBoost model"),
    "noise as lightgbm": (lambda _: ("m.txt", b"tree\nnoise\nend of trees\n"), "LightGBM before 2.1"),
    "half a pickle": (lambda _: ("m.joblib", dumped(LinearRegression())[:-20]), "cannot be opened"),
    "a name that says nothing": (lambda _: ("model", b"noise"), "none of those that are served"),
    "no estimator": (toy({"a": 1}), r"dictionary \(a: int\): save the model itself"),
    "an estimator that is not fitted": (toy(LinearRegression()), "a LinearRegression that was never fitted"),
    "a clusterer without predict": (toy(DBSCAN().fit([[0.0], [1.0]])), "has no predict"),
    "a model that raises": (toy(Raises(trigger=2.0)), "raises RuntimeError"),
    "a model of the wrong shape": (toy(WrongShape(trigger=2.0)), "answer once for each row"),
    "a model that opens files": (lambda _: ("m.skops", skops.io.dumps(opens_files())), "names of files"),
    "a model that hangs": (toy(HangsAtOnce()), "did not end in 6 s"),
    "a model that fills the memory": (toy(EatsMemory()), "memory|MemoryError|raises _ArrayMemoryError"),
    "a model that crashes": (toy(Crashes()), "brought its examination down"),
}  # fmt: skip


#: Files that would crash this process, or that only a process of their own refuses. Any process refuses the others.
APART = {
    "a product as large as it likes",
    "noise as xgboost",
    "noise as catboost",
    "noise as catboost's json",
    "noise as lightgbm",
    "a model that hangs",
    "a model that fills the memory",
    "a model that crashes",
    "a zip bomb",
    "a skops file that asks for types",
}
