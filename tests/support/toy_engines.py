"""Engines made of functions, for lanes under test."""

from __future__ import annotations

from inference.outputs import Predictions


class ToyEngine:
    """Computes by `compute`, and by `scored` for callers who ask for scores. Leaves rows with `left` to the pool."""

    name, class_names, score_names, may_hold_the_loop = "sklearn", None, None, True

    def __init__(self, compute, scored=None):
        self.compute = compute
        self.compute_scored = scored or compute

    def compute_at_once(self, rows):
        return self.compute(rows), [place for place, row in enumerate(rows) if "left" in row]


def doubled(rows):
    """Twice each row's `x`; raises for rows with an `x` under 0."""
    if any(row["x"] < 0 for row in rows):
        raise ValueError(rows)
    return Predictions([2 * row["x"] for row in rows], None)
