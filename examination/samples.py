"""A sample of training-like rows, from CSV or Parquet: as pandas reads it, and as JSON writes it."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from examination.large_integers import with_exact_integers

MAX_BYTES = 256 << 20
MAX_ROWS = 20_000

Row = dict[str, Any]


class RefusedSample(Exception):
    """The sample cannot be read, or does not fit the model; the words are for the operator."""


def read_sample(content: bytes, name: str) -> Any:
    """The first rows as a pandas data frame. Raises `RefusedSample`."""
    if len(content) > MAX_BYTES:
        raise RefusedSample(f"the sample has more than {MAX_BYTES >> 20} MiB")
    try:
        if PurePath(name).suffix.lower() == ".parquet" or content.startswith(b"PAR1"):
            frame = pd.read_parquet(io.BytesIO(content)).head(MAX_ROWS)
        else:
            frame = pd.read_csv(io.BytesIO(content), nrows=MAX_ROWS, float_precision="round_trip")
            frame = with_exact_integers(frame, content)
    except Exception as error:  # noqa: BLE001  readers raise many kinds, and their words may hold rows
        raise RefusedSample(f"the sample cannot be read as CSV or Parquet: {type(error).__name__}") from None
    if frame.empty:
        raise RefusedSample("the sample has no rows")
    if not frame.columns.is_unique:
        raise RefusedSample("the sample has two columns of one name")
    frame.columns = [str(column) for column in frame.columns]
    return frame.reset_index(drop=True)


def sample_bytes(columns: Sequence[str], values: Any) -> bytes:
    """A sample as CSV, from a matrix of shape (rows, columns)."""
    text: str = pd.DataFrame(np.asarray(values), columns=list(columns)).to_csv(index=False)
    return text.encode()


def rows_of(frame: Any) -> list[Row]:
    """The frame's rows as JSON writes them: missing values are None, numbers are Python's own."""
    columns = {name: [_plain(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value if isinstance(value, str | int | bool) else None
