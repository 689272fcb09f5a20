"""Engines at the edge of the numbers that they count in, and the registry while it loads."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from examination.compiling.compilation import compile_tested
from examination.compiling.probe_rows import probes_of
from inference.engines import CompiledEngine, TrainedEngine
from inference.graphs import Graph
from inference.listings import ModelListing
from inference.outputs import NotComputable, Predictions
from inference.registered_graphs import graph_engine
from inference.registry import ModelNotFound, Registry
from inference.report import CompilationReport, ScoresReport
from inference.rows.inputs import matrix_of

NAMES = ("a", "b")
ROWS = np.random.default_rng(0).normal(size=(60, 2))
CLASSES = np.arange(60) % 3
DOCUMENT = {"properties": {name: {"type": "number"} for name in NAMES}}


def rows_of(values):
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in values]


def trained(model):
    return TrainedEngine(model, matrix_of(NAMES), [str(each) for each in model.classes_])


@pytest.fixture(scope="module")
def forest():
    return trained(RandomForestClassifier(10, random_state=0).fit(ROWS, CLASSES))


def test_a_forest_refuses_what_float32_cannot_hold(forest):
    """Compiled and as trained, whatever else is in the batch."""
    probes = probes_of(forest._estimator, DOCUMENT["properties"], rows_of(ROWS), forest, is_compiled=True)
    found = compile_tested(forest._estimator, "matrix", DOCUMENT, probes, forest)
    compiled = CompiledEngine(Graph(found.model, NAMES, is_guarded=True), forest, found.comparison.ties)
    for engine in (compiled, forest):
        with np.errstate(over="ignore"), pytest.raises(NotComputable) as refused:
            engine.compute(rows_of([[0.0, 0.0], [1e300, 0.0]]))
        assert refused.value.rows == [1]
    with np.errstate(over="ignore"), pytest.raises(NotComputable):
        compiled.compute([{"a": 1e300, "b": 0.0}, {"a": 0.0, "b": None}])


def test_probabilities_that_overflow_are_no_prediction():
    """A logistic regression far beyond its range: refused, not `null`."""
    model = LogisticRegression().fit(ROWS, CLASSES)
    model.coef_ *= 1e10
    with np.errstate(all="ignore"), pytest.raises(NotComputable):
        trained(model).compute(rows_of([[1.7e308, 1.7e308]]))


def test_next_to_a_tie_the_trained_model_gives_label_and_scores():
    """The compiled one gives the others; a row that the graph does not take is the trained model's as well."""
    model = KMeans(3, n_init=1, random_state=0).fit(ROWS)
    report = ScoresReport("transform", ["0", "1", "2"], compiled=True)
    engine = TrainedEngine(model, matrix_of(NAMES), None, report)
    probes = probes_of(model, DOCUMENT["properties"], rows_of(ROWS), engine, is_compiled=True)
    found = compile_tested(model, "matrix", DOCUMENT, probes, engine)
    compiled = CompiledEngine(
        Graph(found.model, NAMES, is_guarded=True), engine, found.comparison.ties, has_scores=True
    )
    between = model.cluster_centers_[[0, 1]].mean(axis=0)
    for rows in (rows_of([between, *ROWS[:20]]), rows_of([[1e20, 0.0], between])):
        ours, theirs = compiled.compute_scored(rows), engine.compute_scored(rows)
        assert ours.labels == theirs.labels == compiled.compute(rows).labels
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)
    assert compiled.compute_at_once(rows_of([ROWS[0], between]))[1] == [1]
    assert compiled.compute(rows_of(ROWS)).scores is None


def test_a_graph_that_an_early_release_took_answers_as_it_did_then():
    """Its report does not say which outputs are which: the second is called probabilities, and is not touched."""
    nodes = [
        onnx.helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        onnx.helper.make_node("Identity", ["x"], ["numbers"]),
    ]
    declare = onnx.helper.make_tensor_value_info
    inputs, outputs = [declare("x", 11, ["n", 2])], [declare("label", 7, ["n"]), declare("numbers", 11, ["n", 2])]
    made = onnx.helper.make_graph(nodes, "by-hand", inputs, outputs)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)])
    stored = {"format": "onnx", "classes": ["0", "1"], "engine": "onnx"}
    engine = graph_engine(Graph(model.SerializeToString(), NAMES), CompilationReport.from_stored(stored))
    assert engine.compute(rows_of([[2.0, -1.0]])) == Predictions([0], [[2.0, -1.0]])
    assert engine.score_names is None


@pytest.mark.anyio
async def test_what_was_restricted_while_models_loaded_stays_restricted():
    """An older state that ends to load later does not bring a right back, nor a model."""
    registry = Registry(loader=None, max_bytes=1)
    before = listing("x", granted_to=frozenset({"tenant"}))
    registry.load([before, listing("y")])
    assert [model.name for model in registry.visible("tenant")] == ["x"]
    registry.restrict([listing("x")])
    registry.load([before, listing("y", granted_to=frozenset({"tenant"}))])
    assert registry.visible("tenant") == []
    with pytest.raises(ModelNotFound):
        await registry.find("x", None, tenant_id="tenant")


def listing(name, granted_to=frozenset()):
    return ModelListing(name, name, "", is_public=False, granted_to=granted_to, versions={}, aliases={})
