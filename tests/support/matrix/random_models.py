"""Pipelines and frames drawn at random: columns of odd values and names, transformers, estimators, files and samples."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hypothesis import reject
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from tests.support.matrix import frames
from tests.support.matrix.cells import Case
from tests.support.matrix.files import model_file, sample_file
from tests.support.matrix.kinds import KINDS
from tests.support.matrix.pipelines import own_features

_LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn"])
_WORDS = ["NA", "None", "nan", "null", "1", "02", "1.0", "True", "false", "2024-01-01", "a,b", 'say "x"', "two\nlines", " x ",
          "-", "é", "e\u0301", "中文", "😀", "=1+1", "1e5", "inf", "#N/A", "0x10", "'"]  # fmt: skip
_NAMES = ["a", "A b", "Fare (€)", "x0", "1", "é", "a.1", "index", "target", "a/b~c", 'x"y', "label", "Unnamed: 0x"]


class Family(NamedTuple):
    """A family of columns: its values, its dtypes, and the transformers that take it with and without missing values."""

    values: Any
    dtypes: list[str]
    steps: dict[str, Callable[[], Any]]


def _one_hot(**words: Any) -> Callable[[], Any]:
    return lambda: OneHotEncoder(sparse_output=False, **words)


def _imputed(step: Callable[[], Any], strategy: str = "most_frequent") -> Callable[[], Any]:
    return lambda: make_pipeline(SimpleImputer(strategy=strategy, add_indicator=True), step())


_ENCODED: dict[str, Callable[[], Any]] = {
    "closed": _one_hot(), "open": _one_hot(handle_unknown="ignore"), "dropped": _one_hot(drop="first"),
    "ordinal": lambda: OrdinalEncoder(encoded_missing_value=-1),
    "ordinal, open": lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-3, encoded_missing_value=-1),
}  # fmt: skip
_NUMBERED = {
    "imputed": lambda: SimpleImputer(add_indicator=True), "scaled": _imputed(StandardScaler, "median"),
    "spread": _imputed(MinMaxScaler, "mean"), "zeros": lambda: SimpleImputer(strategy="constant", fill_value=0),
    "bins": _imputed(lambda: KBinsDiscretizer(2, encode="ordinal", strategy="uniform")), **_ENCODED,
}  # fmt: skip
_TEXTED = {**_ENCODED, "imputed closed": _imputed(_one_hot()), "target": lambda: TargetEncoder(cv=2, random_state=0)}
_ABSOLUTE = {"absolute": lambda: make_pipeline(SimpleImputer(), FunctionTransformer(np.abs))}
FAMILIES = {
    "floats": Family(st.floats(-1e9, 1e9) | st.sampled_from([-0.0, 0.1, 1 / 3, 1e-300, 1e15, 2.0, 16777217.0]), ["float64", "object", "Float64"], _NUMBERED | _ABSOLUTE),
    "integers": Family(st.integers(-(2**40), 2**40) | st.integers(-3, 300), ["int64", "Int64", "object", "category"], _NUMBERED),
    "truth values": Family(st.booleans(), ["bool", "object", "boolean", "category"], _ENCODED),
    "texts": Family(st.sampled_from(_WORDS) | st.text(_LETTERS, min_size=1, max_size=8), ["object", "str", "string", "category"], _TEXTED),
    "instants": Family(st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2090, 1, 1)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001  a column without a zone
                       ["datetime64[ns]", "datetime64[us]", "datetime64[s]"], {"own": lambda: FunctionTransformer(own_features), "open": _one_hot(handle_unknown="ignore")}),
}  # fmt: skip
_TAKES_NO_GAPS = {"int64", "bool", "string", "boolean"}


class Column(NamedTuple):
    series: pd.Series
    step: Any
    is_own: bool


@st.composite
def columns(draw: Any, rows: int, *, is_csv: bool) -> Column:
    """A column of a few values in any order, and the transformer that it goes through."""
    family = FAMILIES[draw(st.sampled_from(list(FAMILIES)))]
    palette = draw(st.lists(family.values, min_size=2, max_size=5, unique_by=lambda value: value))
    dtype = draw(st.sampled_from(family.dtypes))
    has_gaps = draw(st.booleans()) and dtype not in _TAKES_NO_GAPS and family is not FAMILIES["instants"]
    codes = np.random.default_rng(draw(st.integers(0, 2**16))).integers(0, len(palette), rows)
    codes[: len(palette)] = np.arange(len(palette))
    values = [None if has_gaps and place % 5 == 4 else palette[code] for place, code in enumerate(codes)]
    made = pd.Series([np.nan if value is None else value for value in values], dtype=object)
    if dtype != "object":
        made = pd.Series(values, dtype=dtype)
    if is_csv and family is FAMILIES["texts"] and any("\n" in str(value) for value in palette):
        made = made.astype(object).replace("two\nlines", "two lines").astype(dtype)
    steps = {
        name: step
        for name, step in family.steps.items()
        if dtype not in {"object", "category", "str"} or "imputed" not in name or not has_gaps
    }
    steps = {name: step for name, step in steps.items() if dtype != "category" or name in {*_ENCODED, "target"}}
    name = draw(st.sampled_from(sorted(steps)))
    return Column(made, steps[name](), name == "own")


@st.composite
def cases(draw: Any) -> Case:
    """A fitted pipeline with the rows that it was trained on; what cannot be trained is rejected."""
    rows, sample = draw(st.integers(24, 40)), draw(st.sampled_from(["csv", "parquet", "parquet", "none"]))
    names = draw(st.lists(st.sampled_from(_NAMES) | st.text(_LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool),
                          min_size=1, max_size=5, unique=True))  # fmt: skip
    drawn = {name: draw(columns(rows, is_csv=sample == "csv")) for name in names}
    frame = pd.DataFrame({name: column.series for name, column in drawn.items()})
    # A number beside them, so that the labels can depend on something.
    score = np.random.default_rng(draw(st.integers(0, 2**16))).normal(size=rows)
    frame["score,"] = score.round(3)
    kind = KINDS[draw(st.sampled_from(list(KINDS)))]
    label = draw(st.sampled_from(sorted(kind.labels)))
    estimator = make_pipeline(_transformer(draw, drawn, frame), kind.wrap(kind.make()) if kind.wrap else kind.make())
    target = frames.labels_of(label, score)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(frame, target) if target is not None else estimator.fit(frame)
            estimator.predict(frame)
    except Exception:  # noqa: BLE001  what a library refuses to train is no model
        reject()
    handling = "own function" if any(column.is_own for column in drawn.values()) else ""
    cell = {"kind": "", "column": "float64", "handling": handling, "form": "frame", "file": "joblib", "sample": sample}
    model = model_file("joblib", estimator, frame)
    is_compiled = draw(st.booleans())
    return Case(cell, estimator, frame, frame, frames.json_rows(frame), model, sample_file(sample, frame), is_compiled)


def _transformer(draw: Any, drawn: dict[str, Column], frame: pd.DataFrame) -> ColumnTransformer:
    parts = []
    for place, (name, column) in enumerate(drawn.items()):
        chosen: Any = draw(st.sampled_from(["name", "position", "negative", "mask", "slice", "selector", "text"]))
        mask = [each == name for each in frame.columns]
        ways = {
            "name": [name], "position": [place], "negative": [place - len(mask)], "mask": mask,
            "slice": slice(place, place + 1), "selector": make_column_selector(f"^{_escaped(name)}$"), "text": [name],
        }  # fmt: skip
        if chosen == "text" and str(column.series.dtype) in {"object", "str"} and _is_texts(column.series):
            parts.append((f"part{place}", CountVectorizer(analyzer="char", dtype=float), name))
            continue
        parts.append((f"part{place}", column.step, ways[chosen]))
    return ColumnTransformer(parts, remainder="passthrough", sparse_threshold=0)


def _is_texts(series: pd.Series) -> bool:
    return all(isinstance(value, str) for value in series)


def _escaped(name: str) -> str:
    return "".join(f"[{each}]" if each not in "^[]\\" else f"\\{each}" for each in name)
