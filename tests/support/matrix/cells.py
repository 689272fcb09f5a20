"""The matrix: its factors, which of their values stand together, and the trained model that a cell describes."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from tests.support.matrix import frames, pipelines
from tests.support.matrix.files import FILES, model_file, sample_file
from tests.support.matrix.frames import (
    CATEGORIES,
    COLUMNS,
    DATES,
    FLOATS,
    NULLABLE_NUMBERS,
    OBJECT_NUMBERS,
    ODD,
    PLAIN_NUMBERS,
    TEXTS,
)
from tests.support.matrix.kinds import KINDS
from tests.support.matrix.pairs import Cell, Factors, Rule
from tests.support.matrix.pipelines import (
    ALL_COLUMNS,
    BY_NAME,
    CHOICES,
    ENCODERS,
    HANDLINGS,
    OF_DICTIONARIES,
    OF_TEXTS,
    OWN,
)

FORMS = ["frame", "matrix", "objects", "dictionaries", "texts"]
SAMPLES = ["csv", "parquet", "none"]
FACTORS = {
    "kind": list(KINDS), "column": list(COLUMNS), "handling": HANDLINGS, "encoder": list(ENCODERS), "label": frames.LABELS,
    "form": FORMS, "file": FILES, "sample": SAMPLES, "missing": ["no", "yes"],
    "engine": ["compiled", "as trained"],
}  # fmt: skip
#: Columns whose values a matrix of objects can have, and a dictionary.
_IN_DICTIONARIES = TEXTS | {"float64", "whole floats", "int64", "int64 with gaps", "bool"}
_IN_FORM = {
    "frame": set(COLUMNS), "matrix": PLAIN_NUMBERS, "objects": _IN_DICTIONARIES | OBJECT_NUMBERS,
    "dictionaries": _IN_DICTIONARIES, "texts": TEXTS,
}  # fmt: skip
_WITH_ENCODER = {ALL_COLUMNS, *CHOICES}
_BEFORE_NUMBERS = {"bare", "scaled"}
_ONE_OUTPUT = {"int", "binary", "int with gaps", "text", "bool", "float"}
_IN_FILE = {
    "native": {"handling": {"bare"}, "form": {"frame", "matrix"}, "label": {"int", "binary", "float", "two of float", "many"}},
    "onnx": {"handling": _BEFORE_NUMBERS, "form": {"matrix"}, "label": _ONE_OUTPUT | {"two of float", "nothing"},
             "column": FLOATS, "missing": {"no"}},
}  # fmt: skip


def _form_of_handling(form: str, handling: str) -> bool:
    if form == "texts" or handling in OF_TEXTS:
        return form == "texts" and handling in OF_TEXTS
    if form == "dictionaries" or handling in OF_DICTIONARIES:
        return form == "dictionaries" and handling in OF_DICTIONARIES
    return form == "frame" or handling not in BY_NAME | OWN


def _handles_column(handling: str, column: str) -> bool:
    if handling in OF_TEXTS:
        return column in TEXTS
    takes = PLAIN_NUMBERS | NULLABLE_NUMBERS
    return handling not in _BEFORE_NUMBERS or column in takes | (OBJECT_NUMBERS if handling == "scaled" else CATEGORIES)


def _takes_column(kind: str, handling: str, column: str) -> bool:
    return handling != "bare" or column not in CATEGORIES or "categories" in KINDS[kind].takes


def _takes_missing(missing: str, handling: str, kind: str) -> bool:
    return missing == "no" or handling not in _BEFORE_NUMBERS or "missing" in KINDS[kind].takes


def _encodes(encoder: str, column: str, missing: str) -> bool:
    """scikit-learn's encoders take no text beside pandas' own missing value, and its imputer no dates or truth values."""
    if missing == "yes" and ((column == "string" and encoder != "none") or (column in DATES and "closed" in encoder)):
        return False
    is_taken = column not in DATES | NULLABLE_NUMBERS | {"string", "bool"} and (
        missing == "no" or column in TEXTS | FLOATS
    )
    return is_taken or not encoder.startswith("imputed")


RULES = [
    Rule(("kind", "label"), lambda kind, label: label in KINDS[kind].labels),
    Rule(("handling", "encoder"), lambda handling, encoder: (encoder != "none") == (handling in _WITH_ENCODER)),
    Rule(("handling", "column"), _handles_column),
    Rule(("kind", "handling", "column"), _takes_column),
    Rule(("kind", "handling"), lambda kind, handling: "sparse" in KINDS[kind].takes or handling not in {*OF_TEXTS, "hashed dictionaries"}),
    # Texts of one column alone leave nothing to tune.
    Rule(("kind", "handling"), lambda kind, handling: kind != "tuned-threshold" or handling not in OF_TEXTS),
    Rule(("form", "handling"), _form_of_handling),
    Rule(("form", "column"), lambda form, column: column in _IN_FORM[form]),
    Rule(("missing", "column"), lambda missing, column: missing == "no" or COLUMNS[column][2]),
    Rule(("missing", "form"), lambda missing, form: missing == "no" or form not in {"dictionaries", "texts"}),
    Rule(("missing", "handling", "kind"), _takes_missing),
    Rule(("missing", "handling", "column"), lambda missing, handling, column: missing == "no" or handling != "scaled" or column not in OBJECT_NUMBERS),
    Rule(("file", "kind"), lambda file, kind: file not in _IN_FILE or file in KINDS[kind].writes),
    *(Rule(("file", each), lambda file, value, each=each: value in _IN_FILE.get(file, {}).get(each, {value}))
      for each in ("handling", "form", "label", "column", "missing")),
    # XGBoost cannot write such categories.
    Rule(("file", "kind", "column"), lambda file, kind, column: file != "native" or "xgboost" not in kind
         or column not in {"categories of floats", "categories of truth values"}),
    Rule(("encoder", "label"), lambda encoder, label: encoder != "target" or label in _ONE_OUTPUT),
    Rule(("encoder", "column", "missing"), _encodes),
]  # fmt: skip
MATRIX = Factors(FACTORS, RULES)


class Case(NamedTuple):
    """A cell's trained estimator, what it was trained on in its own form, and the files that are brought of it.

    `frame` has the same rows in columns, as they are sampled; `rows` are these as a client writes them.
    """

    cell: Cell
    estimator: Any
    given: Any
    frame: pd.DataFrame
    rows: list[list[Any]]
    model: tuple[str, bytes]
    sample: tuple[str, bytes] | None
    is_compiled: bool = True

    def __repr__(self) -> str:
        """A failure shows the case, and not its files by the kilobyte."""
        return f"Case({self.cell}, {self.estimator}, {self.frame.dtypes.to_dict()})"


def case_of(cell: Cell) -> Case:
    """The same for the same cell, always."""
    seed = zlib.crc32(repr(sorted(cell.items())).encode())
    frame, score = frames.frame_of(
        cell["column"], is_missing=cell["missing"] == "yes", is_turned=seed % 3 == 0, seed=seed
    )
    if cell["handling"] == ALL_COLUMNS:
        frame = frame[ODD]
    if cell["form"] == "texts":
        frame = frame[ODD[:1]]
    given = form_of(cell["form"], frame)
    if cell["form"] == "matrix":
        # Whoever trains on a matrix samples that matrix.
        frame = pd.DataFrame(given, columns=frame.columns)
    estimator = estimator_of(cell, frame, is_outside=seed % 2 == 0)
    labels = frames.labels_of(cell["label"], score)
    estimator.fit(given, labels) if labels is not None else estimator.fit(given)
    model = model_file(cell["file"], estimator, given)
    sample, is_compiled = sample_file(cell["sample"], frame), cell["engine"] == "compiled"
    return Case(cell, estimator, given, frame, frames.json_rows(frame), model, sample, is_compiled)


def form_of(form: str, frame: pd.DataFrame) -> Any:
    """The rows in the form that the estimator takes."""
    if form == "texts":
        return frame.iloc[:, 0].tolist()
    if form == "dictionaries":
        return frame.to_dict("records")
    if form == "objects":
        return frame.to_numpy(dtype=object)
    return (
        frame.to_numpy(dtype=np.float32 if "float32" in map(str, frame.dtypes) else float)
        if form == "matrix"
        else frame
    )


def estimator_of(cell: Cell, frame: pd.DataFrame, *, is_outside: bool) -> Any:
    """The estimator behind its pipeline; `is_outside` says that what wraps it wraps the whole pipeline."""
    kind = KINDS[cell["kind"]]
    imputes = cell["missing"] == "yes" and "missing" not in kind.takes
    step = pipelines.before(cell["handling"], cell["encoder"], frame, imputes=imputes)
    inner = kind.make()
    if kind.wrap is None or step is None:
        whole = inner if kind.wrap is None else kind.wrap(inner)
        return whole if step is None else make_pipeline(step, whole)
    has_one_part = not cell["kind"].startswith(("voting", "stacking"))
    if is_outside and has_one_part and cell["encoder"] == "none":
        return kind.wrap(make_pipeline(step, inner))
    return make_pipeline(step, kind.wrap(inner))


def brought(
    estimator: Any, frame: pd.DataFrame, given: Any = None, *, sample: str = "csv", file: str = "joblib"
) -> Case:
    """A fitted estimator and the rows that it was trained on, as somebody brings them; `given` is their own form.

    It is served as trained: whether it can be compiled is a question for others.
    """
    form = "frame" if given is None else "matrix"
    cell = {"kind": "", "column": "float64", "handling": "", "form": form, "file": file, "sample": sample}
    given = frame if given is None else given
    model = model_file(file, estimator, given)
    return Case(
        cell, estimator, given, frame, frames.json_rows(frame), model, sample_file(sample, frame), is_compiled=False
    )
