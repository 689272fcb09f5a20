"""The models of boosters' own files, as estimators with scikit-learn's verbs.

A file that does not name its classes has the labels 0 to n-1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A booster's own prediction for rows: of shape (rows,) or (rows, outputs).
Raw = Callable[[Any], Any]

_UNNAMED = re.compile(r"Column_\d+")


class NativeModel:
    """A booster whose own prediction is its answer: a number, or several.

    `takes_frames` says that it was trained on columns that a matrix of numbers does not have. `booster` is the
    library's own object.
    """

    def __init__(
        self, booster: Any, raw: Raw, features: int, names: Sequence[str] = (), *, takes_frames: bool = False
    ) -> None:
        self.booster = booster
        self.takes_frames = takes_frames
        self.n_features_in_ = features
        self._raw = raw
        if names and not all(map(_UNNAMED.fullmatch, names)):
            self.feature_names_in_ = np.array(names, dtype=object)

    def predict(self, rows: Any) -> NDArray[Any]:
        return self._answers(rows)

    def _answers(self, rows: Any) -> NDArray[Any]:
        self._check(rows)
        return np.asarray(self._raw(rows))

    def _check(self, rows: Any) -> None:
        if self.takes_frames and isinstance(rows, np.ndarray):
            # The library would take the numbers for its codes of the categories, without a word.
            raise TypeError("the model was trained on columns of categories or texts: a matrix has none")


class NativeLabeller(NativeModel):
    """A booster whose greatest score is the label; of single scores, and of several labels, each is one above 0.5."""

    def __init__(self, *given: Any, is_multi_label: bool = False, **facts: Any) -> None:
        super().__init__(*given, **facts)
        self._is_multi_label = is_multi_label

    def predict(self, rows: Any) -> NDArray[Any]:
        scores = self._answers(rows)
        if scores.ndim == 1 or self._is_multi_label:
            return np.asarray(scores > 0.5, dtype=int)
        return np.asarray(scores.argmax(axis=1))


class NativeClassifier(NativeLabeller):
    """A labeller whose scores are probabilities, or are made such by `to_probabilities`."""

    def __init__(
        self, *given: Any, classes: int, to_probabilities: Raw | None = None, is_multi_label: bool = False, **facts: Any
    ) -> None:
        super().__init__(*given, is_multi_label=is_multi_label, **facts)
        self._to_probabilities = to_probabilities
        if not is_multi_label:
            self.classes_ = np.arange(classes)

    def predict_proba(self, rows: Any) -> NDArray[Any]:
        scores = self._answers(rows)
        if self._to_probabilities is not None:
            scores = np.asarray(self._to_probabilities(scores))
        return np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
