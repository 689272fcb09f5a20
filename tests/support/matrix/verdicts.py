"""The verdict on a cell: whether its model answers as itself, is refused in words, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from examination.orders import RefusedModel
from inference.outputs import name_of
from tests.support.matrix.cells import Case
from tests.support.matrix.refusals import is_expected

TRAINED, COMPILED, NARROW = 1e-9, 1e-5, 2e-5


class Answer(NamedTuple):
    """A status, and the answer's object where it is 200."""

    status: int
    said: Any


class Served(Protocol):
    """A registered model: its row schema, its example, its engine's name, and its answers to one row or many."""

    document: dict[str, Any]
    example: dict[str, Any]
    engine: str

    def answer(self, row: dict[str, Any]) -> Answer: ...
    def answers(self, rows: Sequence[dict[str, Any]]) -> Answer: ...


def verdict_on(case: Case, register: Any) -> str:
    """`answers`, `refused: ...` with expected words, or else the fault. `register` makes a `Served` of a case."""
    try:
        served = register(case)
    except RefusedModel as refused:
        words = str(refused)
        return f"refused: {words}" if is_expected(words, case.cell) else f"FAULT refused: {words}"
    except Exception as error:  # noqa: BLE001  whatever it is, it is the fault that is looked for
        return f"FAULT registration raises {type(error).__name__}: {error}"
    try:
        return _fault_of(case, served) or "answers"
    except Exception as error:  # noqa: BLE001  the same
        return f"FAULT an answer raises {type(error).__name__}: {error}"


def _fault_of(case: Case, served: Served) -> str | None:
    names = names_of(case, list(served.document["properties"]))
    if names is None:
        return f"FAULT names {list(served.document['properties'])}"
    rows = [as_sent(dict(zip(names, row, strict=True)), served.document, case) for row in case.rows]
    asked = [place for place, row in enumerate(rows) if row is not None]
    if not asked:
        return f"FAULT no row can be sent: {served.document['properties']}"
    sent = [rows[place] for place in asked]
    answer = served.answers(sent)
    if answer.status != 200:
        return f"FAULT {answer.status} for the sample: {str(answer.said)[:300]}"
    fault = difference(case, answer.said, asked, served.engine)
    return fault or _fault_of_example(served) or _fault_of_odd_rows(served, sent)


def names_of(case: Case, features: list[str]) -> list[str] | None:
    """The features' names in the order of the training frame's columns; None if they are called otherwise.

    Only a frame or a sample says names, and LightGBM's own have no spaces.
    """
    own = list(case.frame.columns)
    if sorted(features) == sorted(own):
        return own if case.cell["form"] == "dictionaries" or features == own else None
    if case.sample is None and (case.cell["form"] != "frame" or features == [name.replace(" ", "_") for name in own]):
        return features
    return None


def as_sent(row: dict[str, Any], document: dict[str, Any], case: Case) -> dict[str, Any] | None:
    """A row of the training frame as a client sends it.

    Without a sample a schema cannot say that a value may be missing, or that a number is a truth value: None for a row
    that it therefore refuses, and 1 for true. A CSV file cannot tell an empty text from a missing one.
    """
    if case.cell["sample"] == "csv" and case.cell["column"] == "texts with an empty one" and None in row.values():
        return None
    for name, value in row.items():
        types = document["properties"][name]["type"]
        if case.sample is None and value is None and "null" not in types:
            return None
        if case.sample is None and isinstance(value, bool) and "boolean" not in types:
            row[name] = int(value)
    return row


def difference(case: Case, said: Sequence[Any], asked: Sequence[int], engine: str) -> str | None:
    """How answers differ from the estimator's own; None if they are the same."""
    wanted = labels_of(case.estimator, case.given)[asked]
    if case.cell["file"] == "native" and case.cell["label"] == "many":
        # XGBoost's wrapper says several labels as floats; its file says that they are labels.
        wanted = wanted.astype(int)
    tolerance = TRAINED if engine == "sklearn" else COMPILED
    if case.cell["file"] == "onnx" or case.cell["column"] == "float32":
        tolerance = NARROW
    labels = [each["prediction"] for each in said]
    if wanted.dtype.kind == "f":
        if not np.allclose(np.array(labels, float), wanted, rtol=tolerance, atol=TRAINED):
            return f"FAULT numbers {labels[:4]} are {wanted[:4].tolist()}"
        if _form(labels[0]) != _form(wanted.tolist()[0]):
            return f"FAULT {labels[0]!r} is {wanted.tolist()[0]!r}"
    else:
        if case.cell["file"] == "onnx" and wanted.dtype.kind == "b":
            # A graph has no truth values.
            wanted = wanted.astype(int)
        own = [each.item() if isinstance(each, np.generic) else each for each in wanted.tolist()]
        wrong = [place for place, label in enumerate(labels) if label != own[place]]
        wrong = [place for place in wrong if not is_tie(case, asked[place], labels[place])]
        if wrong:
            place = wrong[0]
            return (
                f"FAULT {len(wrong)} labels of {len(labels)} differ: {labels[place]!r} is {own[place]!r} (row {place})"
            )
        if kinds := [(a, b) for a, b in zip(labels, own, strict=True) if _form(a) != _form(b)]:
            return f"FAULT a label's type: {kinds[0][0]!r} is {kinds[0][1]!r}"
    return _difference_of_probabilities(case, said, asked, tolerance)


def labels_of(estimator: Any, given: Any) -> np.ndarray:
    """The estimator's labels: a column is a list, and a sparse matrix a dense one."""
    labels = estimator.predict(given)
    labels = labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels)
    return labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _form(label: Any) -> Any:
    return [type(each) for each in label] if isinstance(label, list) else type(label)


def is_tie(case: Case, place: int, label: Any) -> bool:
    """Whether the estimator itself says several labels: alone and among others, or in float32.

    Next to a tie the last bit of a product decides, and float32 makes another label of scores that are near.
    """
    if labels_of(case.estimator, case.given[place : place + 1]).tolist()[0] == label:
        return True
    if case.cell["file"] != "onnx" and case.cell["column"] != "float32":
        return False
    verb = next((verb for verb in ("predict_proba", "decision_function") if hasattr(case.estimator, verb)), None)
    if verb is None:
        return False
    scores = np.ravel(getattr(case.estimator, verb)(case.given[place : place + 1]))
    best = np.sort(scores)[-2:] if len(scores) > 1 else np.array([0.0, scores[0]])
    return bool(abs(best[0] - best[1]) < 1e-4)


def _difference_of_probabilities(case: Case, said: Sequence[Any], asked: Sequence[int], tolerance: float) -> str | None:
    found = [each.get("probabilities") for each in said]
    is_graph = case.cell["file"] == "onnx"
    if found[0] is None and (is_graph or not hasattr(case.estimator, "predict_proba")):
        # A graph says probabilities only where one of its operators is a classifier.
        return None
    if not hasattr(case.estimator, "predict_proba"):
        return f"FAULT probabilities of an estimator that has none: {found[0]}"
    wanted = case.estimator.predict_proba(case.given)
    if found[0] is None:
        return "FAULT no probabilities"
    if not isinstance(wanted, list):
        return _apart(found, np.asarray(wanted)[asked], getattr(case.estimator, "classes_", None), tolerance)
    for number, output in enumerate(wanted):
        classes = case.estimator.classes_[number]
        if fault := _apart([each[number] for each in found], np.asarray(output)[asked], classes, tolerance):
            return fault
    return None


def _apart(found: Sequence[dict[str, float]], wanted: np.ndarray, classes: Any, tolerance: float) -> str | None:
    width = wanted.shape[1]
    is_named = classes is not None and not isinstance(classes, list) and len(classes) == width
    names = [name_of(each) for each in (np.asarray(classes).tolist() if is_named else range(width))]
    if list(found[0]) != names:
        return f"FAULT probabilities of {list(found[0])} are of {names}"
    values = np.array([[each[name] for name in names] for each in found])
    if np.allclose(values, wanted, rtol=tolerance, atol=max(tolerance / 10, TRAINED)):
        return None
    return f"FAULT probabilities {values[0]} are {wanted[0]}"


def _fault_of_example(served: Served) -> str | None:
    answer = served.answer(served.example)
    return None if answer.status == 200 else f"FAULT {answer.status} for the example {served.example}"


def _fault_of_odd_rows(served: Served, rows: Sequence[dict[str, Any]]) -> str | None:
    """An unknown category, a null where one may stand, a boundary: each is answered, or refused as the caller's."""
    for name, value in odd_values(served.document):
        answer = served.answer({**rows[0], name: value})
        if answer.status not in {200, 422}:
            return f"FAULT {answer.status} for {value!r} as {name}: {str(answer.said)[:200]}"
    return None


def odd_values(document: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, spec in document["properties"].items():
        types = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
        values: list[Any] = [None]
        if "string" in types:
            values += ["unheard of", "", "9999-12-31", "0001-01-01T00:00:00", "NA", "1"]
        if "integer" in types:
            values += [-(2**53), 2**53, 2**31, 300, 0, 7]
        if "number" in types:
            values += [1e308, -1e308, 1e39, 5e-324, 0, -0.0, 12345.678]
        if "boolean" in types:
            values += [True, False]
        found += [(name, value) for value in values]
    return found
