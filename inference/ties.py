"""How near a row's scores are to another label than the one that follows from them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Tie(NamedTuple):
    """How a label follows from a row's scores, and how near to another label the scores can be trusted.

    `rule` is `argmax` (the greatest score, such as a probability), `argmin` (the least, such as a distance) or `sign`
    (of a single score).
    """

    rule: str
    margin: float

    def near(self, scores: NDArray[Any]) -> list[int]:
        """The indices of the rows whose label is in doubt. `scores` has shape (rows, scores)."""
        if len(scores) == 1:
            # One row is the usual case, and asking numpy costs as much as the graph itself.
            return [0] if self._distance(scores[0].tolist()) <= self.margin else []
        found: list[int] = np.flatnonzero(self.distances(scores) <= self.margin).tolist()
        return found

    def _distance(self, scores: list[float]) -> float:
        if self.rule == "sign":
            return abs(scores[0])
        ordered = sorted(scores, reverse=self.rule == "argmax")
        return abs(ordered[0] - ordered[1]) if len(ordered) > 1 else math.inf

    def distances(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The distance of each row's scores from another label."""
        if self.rule == "sign":
            return np.asarray(np.abs(scores[:, 0]))
        if scores.shape[1] < 2:
            return np.full(len(scores), np.inf)
        if self.rule == "argmin":
            two = np.partition(scores, 1, axis=1)
            return np.asarray(two[:, 1] - two[:, 0])
        two = np.partition(scores, -2, axis=1)
        return np.asarray(two[:, -1] - two[:, -2])
