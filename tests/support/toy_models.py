"""Models that misbehave when a row says so; importable by every process that opens a file of one."""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from typing import ClassVar

import numpy as np


class Toy:
    """Takes one number, `x`, and answers it; from `trigger` on, each toy misbehaves in its own way."""

    def __init__(self, trigger: float = 1000.0) -> None:
        self.n_features_in_ = 1
        self.trigger = trigger

    def predict(self, rows):
        rows = np.asarray(rows, float)
        return self.answer(rows) if (rows >= self.trigger).any() else rows[:, 0]


class Says(Toy):
    """Answers every row with its own version."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version = version

    def predict(self, rows):
        return np.array([self.version] * len(rows), dtype=object)


class Raises(Toy):
    def answer(self, rows):
        raise RuntimeError(f"secret row {rows}")


class WrongShape(Toy):
    def answer(self, rows):
        return np.zeros((len(rows) + 1, 1))


class Hangs(Toy):
    """Sleeps for `seconds`, and gives the interpreter lock away."""

    def __init__(self, seconds: float = 3600.0) -> None:
        super().__init__()
        self.seconds = seconds

    def answer(self, rows):
        time.sleep(self.seconds)
        return rows[:, 0]


class Burns(Toy):
    """Keeps a processor busy for `seconds` without the interpreter lock."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def answer(self, rows):
        matrix, end = np.random.default_rng(0).random((400, 400)), time.monotonic() + self.seconds
        while time.monotonic() < end:
            np.sort(matrix @ matrix, axis=None)
        return rows[:, 0]


class LooksAround(Toy):
    """Answers with the mean of all rows that are computed together."""

    def predict(self, rows):
        return np.full(len(rows), np.asarray(rows, float).mean())


class HangsAtOnce(Toy):
    """Never answers anything."""

    def predict(self, rows):
        time.sleep(3600)
        return rows


class EatsMemory(Toy):
    def predict(self, rows):
        return np.ones(1 << 40)[: len(rows)]


class Crashes(Toy):
    def predict(self, rows):
        return ctypes.string_at(0)[: len(rows)]


class Counts(Toy):
    """Counts the calls of each verb, in this process."""

    calls: ClassVar[Counter[str]] = Counter()

    def predict(self, rows):
        self.calls["predict"] += 1
        return np.asarray(rows, float)[:, 0]

    def decision_function(self, rows):
        """Minus `x`; from `trigger` on it overflows."""
        self.calls["decision_function"] += 1
        rows = np.asarray(rows, float)
        return np.where(rows[:, 0] >= self.trigger, np.inf, -rows[:, 0])
