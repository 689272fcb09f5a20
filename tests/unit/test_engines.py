"""Engines at the edge of the numbers that they count in, and the registry while it loads."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from inference.compilation import compile_tested
from inference.engines import Graph, NotComputable, Pool, TrainedEngine
from inference.registry import ModelListing, ModelNotFound, Registry

ROWS = np.random.default_rng(0).normal(size=(60, 2))
CLASSES = np.arange(60) % 3


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(10, random_state=0).fit(ROWS, CLASSES)


def test_a_forest_refuses_what_float32_cannot_hold(forest):
    """Compiled and as trained, whatever else is in the batch."""
    graph = Graph(compile_tested(forest, ROWS).model)
    for compute in (graph.predict, TrainedEngine(forest, Pool(1)).compute):
        with np.errstate(over="ignore"), pytest.raises(NotComputable) as refused:
            compute(np.array([[0.0, 0.0], [1e300, 0.0]]))
        assert refused.value.rows == [1]
    with pytest.raises(NotComputable):
        graph.predict(np.array([[1e300, 0.0], [0.0, np.nan]]))


def test_probabilities_that_overflow_are_no_prediction():
    """A logistic regression far beyond its range: refused, not `null`."""
    model = LogisticRegression().fit(ROWS, CLASSES)
    model.coef_ *= 1e10
    engine = TrainedEngine(model, Pool(1))
    with np.errstate(all="ignore"), pytest.raises(NotComputable):
        engine.compute(np.array([[1.7e308, 1.7e308]]))


def test_what_was_restricted_while_models_loaded_stays_restricted():
    """An older state that ends to load later does not bring a right back, nor a model."""
    registry = Registry(store=None, max_rows=1)
    before = listing("x", granted_to=frozenset({"tenant"}))
    registry.load([before, listing("y")])
    assert [model.listing.name for model in registry.visible("tenant")] == ["x"]
    registry.restrict([listing("x")])
    registry.load([before, listing("y", granted_to=frozenset({"tenant"}))])
    assert registry.visible("tenant") == []
    with pytest.raises(ModelNotFound):
        registry.find("x", None, tenant_id="tenant")


def listing(name, granted_to=frozenset()):
    return ModelListing(name, name, "", is_public=False, granted_to=granted_to, versions={}, aliases={})
