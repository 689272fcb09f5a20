"""Compiling a trained model to ONNX, and the test that decides whether the compiled one may answer.

Linear parts are compiled in float64: in float32 a logistic regression's labels change on its decision boundary. Trees
compare rows rounded to float32, as scikit-learn's do. The test decides which way serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

from examination.compiling.agreement import Agreement, Disagrees, agreement
from examination.compiling.independence import is_independent_to_the_bit
from examination.compiling.probe_rows import Probes, is_of_numbers
from examination.compiling.rewriting import with_both_classes, with_float32_trees, with_float64_imputers
from inference.engines import TrainedEngine
from inference.estimators import parts_of
from inference.graphs import Graph
from inference.report import Comparison, TieReport
from inference.rows.features import is_nullable, is_text
from inference.rows.inputs import Kind

TIES_TRIED = 64
OPSET = {"": 21, "ai.onnx.ml": 3}


class Compiled(NamedTuple):
    """The test's result: the compiled model and how it compares, or why the model runs as it was registered."""

    model: bytes | None = None
    comparison: Comparison | None = None
    reason: str | None = None


def compile_tested(
    estimator: Any, kind: Kind, document: Mapping[str, Any], probes: Probes, trained: TrainedEngine
) -> Compiled:
    """Compiles the estimator, and tests it on the sample and on rows made to find differences.

    A compiled model is returned only if every label is identical (except next to ties, which the trained model answers)
    and every number within 1e-5 of the trained one's, relatively.
    """
    if probes.raises or not probes.random:
        # The graph would answer where the model refuses.
        return Compiled(reason="the model raises an error on rows that its schema allows")
    rows = probes.rows
    expected = trained.compute(rows)
    may_round = is_of_numbers(expected) or _is_of_trees(estimator)
    reasons = [] if may_round else ["float32: labels next to a boundary would not be certain"]
    for precision, convert in _ways(estimator, kind, document, may_round=may_round):
        try:
            model = convert()
            graph = Graph(model, list(document["properties"]), is_guarded="float32" in precision)
            found = agreement(graph.predict(rows), expected, trained.scores(rows))
        except Disagrees as reason:
            reasons.append(f"{precision}: {reason}")
            continue
        except Exception as error:  # noqa: BLE001  the model is served as trained, whatever the converter raises
            reasons.append(f"{precision}: {type(error).__name__}")
            continue
        return Compiled(model, _comparison(precision, found, probes, trained))
    return Compiled(reason="; ".join(reasons))


def _comparison(precision: str, found: Agreement, probes: Probes, trained: TrainedEngine) -> Comparison:
    ties = None
    if found.tie is not None:
        # Next to a tie the last bit decides the label, and it must not depend on the other rows next to one.
        near = probes.near_ties or probes.rows[:TIES_TRIED]
        alone = not is_independent_to_the_bit(trained, near)
        ties = TieReport(found.tie.rule, found.tie.margin, found.label_type, ties_alone=alone)
    return Comparison(
        rows=len(probes.rows),
        random_rows=len(probes.random),
        threshold_rows=len(probes.threshold),
        boundary_rows=len(probes.boundary),
        label_mismatches=0,
        largest_difference=found.largest_difference,
        largest_absolute_difference=found.largest_absolute_difference,
        precision=precision,
        ties=ties,
    )


def why_not(estimator: Any, kind: Kind, document: Mapping[str, Any], trained: TrainedEngine) -> str | None:
    """The reason why a test on finitely many rows could not vouch for a compiled model; None if it could."""
    own = {spec.get("x-dtype", "str") for spec in document["properties"].values()} if kind == "frame" else set()
    if kind in {"objects", "dictionaries"} or own - {"str", "object"}:
        return "only the trained model takes dictionaries, rows of objects, and columns of pandas' own types"
    if any(type(part).__name__.endswith("Vectorizer") for part in parts_of(estimator)) or kind == "texts":
        return "only the trained model takes text apart: no test covers every language"
    if any(is_text(spec) and is_nullable(spec) for spec in document["properties"].values()):
        return "a text that may be missing has no form in a compiled model"
    if trained.class_names and not isinstance(trained.class_names[0], str):
        return "classifiers of several outputs are served as trained"
    modules = {type(part).__module__.partition(".")[0] for part in parts_of(estimator)}
    if foreign := sorted(modules - {"sklearn"}):
        words = "the models of boosters' own files" if "inference" in foreign else f"{', '.join(foreign)} models"
        return f"{words} are served as trained"
    return None


def _ways(estimator: Any, kind: Kind, document: Mapping[str, Any], *, may_round: bool) -> Iterator[tuple[str, Any]]:
    """The precisions to try, the most exact first, each with a function that makes the graph."""

    @cache
    def exact() -> bytes:
        return with_float64_imputers(_convert(estimator, kind, document, "float64"))

    yield "float64", exact
    if any(hasattr(part, "tree_") for part in parts_of(estimator)):
        yield "float64, trees in float32", lambda: with_float32_trees(exact(), widen=True)
        yield "float64, trees and what follows in float32", lambda: with_float32_trees(exact(), widen=False)
    if may_round:
        yield "float32", lambda: _convert(estimator, kind, document, "float32")


def _convert(estimator: Any, kind: Kind, document: Mapping[str, Any], precision: str) -> bytes:
    number = DoubleTensorType if precision == "float64" else FloatTensorType
    properties = document["properties"]
    if kind == "matrix":
        types = [("rows", number([None, len(properties)]))]
    else:
        types = [
            (name, (StringTensorType if is_text(spec) else number)([None, 1])) for name, spec in properties.items()
        ]
    attempts: list[dict[Any, Any] | None] = [None]
    if hasattr(estimator, "classes_"):
        # A ZipMap would make a dictionary of each row's probabilities; not every converter knows the option.
        attempts = [{id(estimator): {"zipmap": False}}, None]
    for options in attempts:
        try:
            graph = to_onnx(estimator, initial_types=types, options=options, target_opset=OPSET)
            return with_both_classes(graph.SerializeToString())
        except NameError:
            continue
    raise TypeError


def _is_of_trees(estimator: Any) -> bool:
    """Whether the estimator compares rows in float32 itself."""
    return type(estimator).__module__.startswith(("sklearn.tree.", "sklearn.ensemble."))


def versions() -> dict[str, str]:
    """The releases of the libraries that made a compiled model and that run it."""
    return {name: version(name) for name in ("scikit-learn", "skl2onnx", "onnxruntime", "numpy")}
