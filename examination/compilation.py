"""Compiling a trained model to ONNX, and the test that decides whether the compiled one may answer.

Linear parts are compiled in float64: in float32 a logistic regression's labels change on its decision boundary. Trees
compare rows rounded to float32, as scikit-learn's do. Which of the ways serves is found by the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from examination.independence import is_independent_to_the_bit
from examination.rewriting import with_both_classes, with_float32_trees, with_float64_imputers
from examination.trial_rows import Trials, is_of_numbers
from inference.engines import LABEL_TYPES, Tie, TrainedEngine
from inference.estimators import parts_of
from inference.features import is_nullable, is_text
from inference.graphs import Graph, GraphAnswer
from inference.inputs import Kind
from inference.outputs import Predictions

RELATIVE_TOLERANCE = 1e-5
#: Numbers that are nearer than this are the same: it is less than any answer means.
ABSOLUTE_TOLERANCE = 1e-9
LEAST_TIE_MARGIN = 1e-9
TIES_TRIED = 64
OPSET = {"": 21, "ai.onnx.ml": 3}


class Compiled(NamedTuple):
    """The test's result, kept with the version; `model` is None where the model runs as trained."""

    model: bytes | None
    report: dict[str, Any]


class Disagrees(Exception):
    """The compiled model answers otherwise than the trained one; says how."""


def compile_tested(
    estimator: Any, kind: Kind, document: Mapping[str, Any], trials: Trials, trained: TrainedEngine
) -> Compiled:
    """Compiles the estimator, and tests it on the sample and on rows made to find differences.

    A compiled model is returned only if every label is identical (but next to ties, which the trained model answers)
    and every number within 1e-5 of the trained one's, relatively.
    """
    if reason := _why_not(estimator, kind, document, trials, trained):
        return as_trained(reason)
    rows = trials.rows
    expected = trained.compute(rows)
    may_round = is_of_numbers(expected) or _is_of_trees(estimator)
    reasons = [] if may_round else ["float32: labels next to a boundary would not be certain"]
    for precision, convert in _ways(estimator, kind, document, may_round=may_round):
        try:
            model = convert()
            graph = Graph(model, list(document["properties"]), is_guarded="float32" in precision)
            found = _agreement(graph.predict(rows), expected, trained.scores(rows))
        except Disagrees as reason:
            reasons.append(f"{precision}: {reason}")
            continue
        except Exception as error:  # noqa: BLE001  whatever the converter dislikes, the model is served as trained
            reasons.append(f"{precision}: {type(error).__name__}")
            continue
        report = {"engine": "onnx", "rows": len(rows), **trials.counts(), **found, "precision": precision}
        if "tie_rule" in found:
            # Next to a tie the last bit is the label, and it must not hang on which other rows are next to one.
            report["ties_alone"] = not is_independent_to_the_bit(
                trained, trials.near_ties or trials.sample[:TIES_TRIED]
            )
        return Compiled(model, report | {"versions": _versions()})
    return as_trained("; ".join(reasons))


def as_trained(reason: str) -> Compiled:
    return Compiled(None, {"engine": "sklearn", "reason": reason, "versions": _versions()})


def _why_not(
    estimator: Any, kind: Kind, document: Mapping[str, Any], trials: Trials, trained: TrainedEngine
) -> str | None:
    """What a test on finitely many rows could not vouch for."""
    if not trials.random:
        return "the model raises an error on rows that its schema allows"
    if any(type(part).__name__.endswith("Vectorizer") for part in parts_of(estimator)) or kind == "texts":
        return "text is taken apart by the trained model alone: no test covers every language"
    if any(is_text(spec) and is_nullable(spec) for spec in document["properties"].values()):
        return "a text that may be missing has no form in a compiled model"
    if trained.class_names and not isinstance(trained.class_names[0], str):
        return "classifiers of several outputs are served as trained"
    if not type(estimator).__module__.startswith("sklearn."):
        return f"{type(estimator).__module__.partition('.')[0]} models are served as trained"
    return None


def _ways(estimator: Any, kind: Kind, document: Mapping[str, Any], *, may_round: bool) -> Iterator[tuple[str, Any]]:
    """The precisions to try, the most exact first, each with what makes the graph."""

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
    # Importing the converter takes a second that only a registration should pay.
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType  # noqa: PLC0415

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
    """Whether it compares rows in float32 itself."""
    return type(estimator).__module__.startswith(("sklearn.tree.", "sklearn.ensemble."))


def _agreement(found: GraphAnswer, trained: Predictions, scores: NDArray[Any] | None) -> dict[str, Any]:
    """How far the two are apart, in what they answer and in the `scores` behind it. Raises `Disagrees` if too far."""
    if is_of_numbers(trained):
        return {"label_mismatches": 0} | _difference(np.asarray(found.labels, float), np.asarray(trained.labels, float))
    mismatches = np.array([ours != theirs for ours, theirs in zip(found.labels, trained.labels, strict=True)])
    if found.scores is None:
        raise Disagrees("its labels come without scores, so that ties cannot be told")
    if trained.probabilities is None:
        rule, apart = _rule_of(found, trained), _apart(found.scores, scores)
        differences = {"largest_difference": 0.0, "largest_absolute_difference": apart}
    else:
        rule, differences = "argmax", _difference(found.scores, np.asarray(trained.probabilities))
    margin = max(LEAST_TIE_MARGIN, 4 * differences["largest_absolute_difference"])
    tie = Tie(rule, margin)
    mismatches[tie.near(found.scores)] = False
    if count := int(mismatches.sum()):
        raise Disagrees(f"{count} labels of {len(mismatches)} differ")
    label_type = _label_type(found.labels[0], trained.labels[0])
    return {"label_mismatches": 0, **differences, "tie_rule": rule, "tie_margin": margin, "label_type": label_type}


def _label_type(found: Any, trained: Any) -> str:
    """The type that labels are given back, since a graph has no truth values. Raises `Disagrees` for other pairs."""
    kind = type(trained).__name__
    if type(found) is not type(trained) and kind not in LABEL_TYPES:
        raise Disagrees(f"its labels are {type(found).__name__}, not {kind}")
    return kind


def _difference(found: NDArray[Any], trained: NDArray[Any]) -> dict[str, float]:
    """The largest relative difference of numbers that are not the same, and the largest at all.

    Raises `Disagrees` where it passes the tolerance.
    """
    if found.shape != trained.shape:
        raise Disagrees("it answers in another form")
    apart = np.abs(found - trained)
    scale = np.maximum(np.abs(trained), np.abs(found))
    relative = np.where(apart <= ABSOLUTE_TOLERANCE, 0.0, apart / np.maximum(scale, np.finfo(float).tiny))
    largest = float(relative.max())
    if not largest <= RELATIVE_TOLERANCE:
        raise Disagrees(f"numbers up to {largest:.1e} apart")
    return {"largest_difference": largest, "largest_absolute_difference": float(apart.max())}


def _apart(found: NDArray[Any], trained: NDArray[Any] | None) -> float:
    """The largest difference between scores that are no probabilities. Raises `Disagrees` if they are others."""
    if trained is not None and found.shape[1] == 2 and trained.shape[1] == 1:
        # Of two classes the trained model gives the second's score alone.
        found = found[:, 1:]
    if trained is None or found.shape != trained.shape:
        raise Disagrees("its scores cannot be compared, so that ties cannot be told")
    largest = float(np.max(np.abs(found - trained)))
    if largest > RELATIVE_TOLERANCE * float(np.max(np.abs(trained))):
        raise Disagrees("its scores are others")
    return largest


def _rule_of(found: GraphAnswer, trained: Predictions) -> str:
    """How the labels come of the scores, where those are not probabilities. Raises `Disagrees` if it cannot be told."""
    scores = found.scores
    labels = np.asarray(trained.labels, dtype=object)
    if scores is None:
        raise Disagrees("its labels come without scores")
    picks = {"argmax": scores.argmax(axis=1), "argmin": scores.argmin(axis=1)}
    if scores.shape[1] == 1:
        picks = {"sign": (scores[:, 0] > 0).astype(int)}
    for rule, pick in picks.items():
        far = Tie(rule, 0.0).distances(scores) > float(np.max(np.abs(scores))) * 1e-6
        # One label for each place, and one place for each label, wherever the two best are well apart.
        pairs = set(zip(pick[far].tolist(), labels[far].tolist(), strict=True))
        if len({place for place, _ in pairs}) == len({label for _, label in pairs}) == len(pairs) > 1:
            return rule
    raise Disagrees("it cannot be told how its labels come of its scores")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("scikit-learn", "skl2onnx", "onnxruntime", "numpy")}
