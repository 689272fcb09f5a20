"""The data of a small notebook: three columns of numbers, a column of three values beside a fare, and two targets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.support.matrix.frames import json_rows

R, ROWS = np.random.default_rng(0), 300
NUMBERS = pd.DataFrame(R.normal(size=(ROWS, 3)), columns=list("abc"))
POSITIVE = (NUMBERS.a > 0).astype(int)
CODES = R.integers(0, 3, ROWS)
FARE = R.normal(size=ROWS)
ABOVE = (CODES + FARE > 1).astype(int)


def coded(values, dtype=None):
    """A frame of a column of three values, and a column of numbers."""
    return pd.DataFrame({"c": pd.Series([values[code] for code in CODES], dtype=dtype), "fare": FARE})


def refusal_of(served, frame, **changed):
    """The answer to the first row with other values in it."""
    row = dict(zip(frame.columns, json_rows(frame)[0], strict=True))
    answer = served.answer(row | changed)
    assert answer.status == 422, answer
    return answer.said
