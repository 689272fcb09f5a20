"""An estimator's answers in forms that JSON has: labels in their own type, a probability for each class, and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The classes by the text that they have in an answer; for several outputs, those of each.
ClassNames = Sequence[str] | Sequence[Sequence[str]]

#: These take their label from the greatest of their own probabilities, or of scores that those rise with (read in the
#: source of scikit-learn 1.9 and LightGBM 4.7): unless two classes tie, one call gives both.
_LABEL_IS_ARGMAX = frozenset(
    {
        "BaggingClassifier",
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "ExtraTreesClassifier",
        "HistGradientBoostingClassifier",
        "LGBMClassifier",
        "LogisticRegression",
        "RandomForestClassifier",
    }
)


class Predictions(NamedTuple):
    """For each row a label or number (or a list of them), for classifiers a probability for each class, and scores.

    Scores are there only if they were asked for: a list of numbers for each row.
    """

    labels: list[Any]
    probabilities: list[Any] | None
    scores: list[list[float]] | None = None


class NotComputable(Exception):
    """Rows (by index) with values or results that are beyond the numbers that the model counts in."""

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__()
        self.rows = rows


class NotServable(Exception):
    """The estimator's answer has no form in JSON, or is not one for each row; the words say what it is."""


class ModelRaised(Exception):
    """The model raised an error on a caller's rows, or did not answer once for each of them.

    `row` is the index of a row that fails by itself, None where none was found. `kind` is the error's type; its words
    are not kept, since they may hold the row.
    """

    def __init__(self, row: int | None, kind: str) -> None:
        super().__init__(kind)
        self.row = row
        self.kind = kind


def predict_with(estimator: Any, given: Any, rows: int, names: ClassNames | None) -> Predictions:
    """The estimator's predictions for `rows` rows. Raises `NotComputable`, `NotServable`, or what that raises."""
    if names is not None and _label_is_argmax(estimator):
        found = _by_probabilities(estimator, given, rows)
        if found is not None:
            return found
    labels = _dense(estimator.predict(given))
    if labels.ndim == 2 and labels.shape[1] == 1:
        # One output that was trained as a column: the same as trained as a list.
        labels = labels.ravel()
    _require_rows(labels, rows)
    _require_finite(labels)
    if names is None:
        return Predictions(_plain(labels), None)
    return Predictions(_plain(labels), _probabilities(estimator.predict_proba(given), rows))


def _dense(labels: Any) -> NDArray[Any]:
    """The labels as an array: several labels at once may come as a sparse matrix, or as a pandas column."""
    return np.asarray(labels.toarray() if hasattr(labels, "toarray") else labels)


def _by_probabilities(estimator: Any, given: Any, rows: int) -> Predictions | None:
    """Labels and probabilities from one call; None if two classes tie, which only `predict` can decide."""
    probabilities = np.asarray(estimator.predict_proba(given), float)
    if probabilities.ndim != 2:
        return None
    _require_rows(probabilities, rows)
    _require_finite(probabilities)
    if ((probabilities == probabilities.max(axis=1, keepdims=True)).sum(axis=1) > 1).any():
        return None
    labels = np.asarray(estimator.classes_).take(probabilities.argmax(axis=1))
    return Predictions(_plain(labels), probabilities.tolist())


def _probabilities(given: Any, rows: int) -> list[Any]:
    if isinstance(given, list):
        outputs = [np.asarray(each, float) for each in given]
        for output in outputs:
            _require_rows(output, rows)
            _require_finite(output)
        return [list(each) for each in zip(*(output.tolist() for output in outputs), strict=True)]
    probabilities = np.asarray(given, float)
    _require_rows(probabilities, rows)
    _require_finite(probabilities)
    answer: list[Any] = probabilities.tolist()
    return answer


def scores_with(estimator: Any, verb: str, given: Any, rows: int) -> NDArray[Any]:
    """The numbers that `verb` gives for `rows` rows, of shape (rows, scores). Raises like `predict_with`."""
    scores = np.asarray(getattr(estimator, verb)(given), float)
    _require_rows(scores, rows)
    _require_finite(scores)
    return scores.reshape(rows, -1)


def class_names_of(estimator: Any, given: Any) -> ClassNames | None:
    """The names of its classes, from one call; None if it has no probabilities. Raises `NotServable`."""
    if not hasattr(estimator, "predict_proba"):
        return None
    probabilities = estimator.predict_proba(given)
    classes = getattr(estimator, "classes_", None)
    if isinstance(probabilities, list):
        widths = [np.asarray(each).shape[1] for each in probabilities]
        return [
            _distinct(names_of_classes(each, width))
            for each, width in zip(classes or [None] * len(widths), widths, strict=True)
        ]
    shape = np.asarray(probabilities).shape
    if len(shape) != 2:
        raise NotServable("its predict_proba does not answer a probability for each class")
    return _distinct(names_of_classes(classes, shape[1]))


def names_of_classes(classes: Any, width: int) -> list[str]:
    """The classes as text; classes without names (of mixtures, of several labels at once) are numbered."""
    if isinstance(classes, list) or classes is None or len(classes) != width:
        return [str(number) for number in range(width)]
    return [name_of(each) for each in _plain(np.asarray(classes))]


def _distinct(names: list[str]) -> list[str]:
    """The same names. Raises `NotServable` if two are the same: an answer would lose a probability."""
    if len(set(names)) < len(names):
        raise NotServable(
            'two of its classes have the same name in JSON, such as 1 and "1": train it on labels of one type'
        )
    return names


def name_of(label: Any) -> str:
    """A class as a member's name: a text as it is, anything else as JSON writes it."""
    return ("true" if label else "false") if isinstance(label, bool) else str(label)


def _label_is_argmax(estimator: Any) -> bool:
    last = estimator.steps[-1][1] if type(estimator).__name__ == "Pipeline" else estimator
    kind = type(last)
    is_known = kind.__name__ in _LABEL_IS_ARGMAX and kind.__module__.startswith(("sklearn.", "lightgbm."))
    return is_known and getattr(last, "n_outputs_", 1) == 1


def _plain(labels: NDArray[Any]) -> list[Any]:
    """Numbers, texts and truth values of Python's own."""
    if labels.dtype.kind not in "biufUOT":
        raise NotServable(f"it answers {labels.dtype}, which has no form in JSON")
    answers: list[Any] = labels.tolist()
    if labels.dtype.kind != "O":
        return answers
    answers = [each.item() if isinstance(each, np.generic) else each for each in answers]
    for each in answers if labels.ndim == 1 else [label for row in answers for label in row]:
        if not isinstance(each, str | int | float | bool):
            raise NotServable(f"it answers {type(each).__name__}, which has no form in JSON")
    return answers


def _require_rows(values: NDArray[Any], rows: int) -> None:
    if values.ndim not in (1, 2) or len(values) != rows:
        raise NotServable("it does not answer once for each row")


def _require_finite(values: NDArray[Any]) -> None:
    """Raises `NotComputable` for rows that overflowed: that is no prediction, and JSON cannot write it."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        flat = values.reshape(len(values), -1)
        raise NotComputable(np.flatnonzero(~np.isfinite(flat).all(axis=1)).tolist())
