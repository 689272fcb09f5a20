"""Ways in which a pipeline handles its columns: bare, through encoders, by names, slices, positions and own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from tests.support.matrix.frames import NUMBERS, ODD

ENCODERS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "one-hot, open": lambda: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    "one-hot, closed": lambda: OneHotEncoder(sparse_output=False),
    "one-hot, infrequent": lambda: OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=25, sparse_output=False),
    "ordinal, closed": lambda: OrdinalEncoder(encoded_missing_value=-1),
    "ordinal, open": lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1),
    "imputed one-hot": lambda: make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=True), OneHotEncoder(sparse_output=False)),
    "imputed ordinal": lambda: make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=True), OrdinalEncoder()),
    "target": lambda: TargetEncoder(cv=2, random_state=0),
}  # fmt: skip


def first_two(_: Any) -> list[int]:
    return [0, 1]


def last_two(_: Any) -> list[int]:
    return [2, 3]


def own_features(frame: pd.DataFrame) -> np.ndarray:
    """Numbers of each column by its dtype, as a user's function makes them; raises for a dtype that it does not know."""
    found = []
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            numbers = column.cat.codes
        elif column.dtype.kind == "M":
            numbers = column.dt.month.fillna(0) + column.dt.hour.fillna(0) / 100
        elif isinstance(column.dtype, pd.StringDtype):
            numbers = column.str.len().fillna(0)
        elif column.dtype == object:
            numbers = column.map(lambda value: len(str(value)))
        else:
            numbers = column
        found.append(np.nan_to_num(numbers.to_numpy(dtype=float, na_value=np.nan)))
    return np.column_stack(found)


def of_their_dtypes(frame: pd.DataFrame, dtypes: dict[str, str]) -> np.ndarray:
    """The same, for columns of the dtypes that a training frame had and no others."""
    found = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    if found != dtypes:
        raise TypeError(f"{found} are not {dtypes}")
    return own_features(frame)


#: By name: how the two odd columns and the two numbers are chosen. `{turned: (odd, numbers)}` by their order.
CHOICES: dict[str, Callable[[bool], tuple[Any, Any]]] = {
    "by names": lambda _: (ODD, NUMBERS),
    "by slices": lambda turned: (slice(2, 4), slice(0, 2)) if turned else (slice(0, 2), slice(2, 4)),
    "by open slices": lambda turned: (slice(2, None), slice(None, 2)) if turned else (slice(None, 2), slice(-2, None)),
    "by slices of names": lambda _: (slice(*ODD), slice(*NUMBERS)),
    "by selectors": lambda _: (make_column_selector("^(Deck|p )"), make_column_selector("^[ab]$")),
    "by functions": lambda turned: (last_two, first_two) if turned else (first_two, last_two),
    "by positions": lambda turned: ([3, 2], [0, 1]) if turned else ([0, 1], [2, 3]),
    "by negative positions": lambda turned: ([-2, -1], [-4, -3]) if turned else ([-4, -3], [-2, -1]),
    "by masks": lambda turned: (np.array([not turned] * 2 + [turned] * 2), [turned] * 2 + [not turned] * 2),
}  # fmt: skip
BY_NAME = {"by names", "by slices of names", "by selectors"}
ALL_COLUMNS = "encoder of all"
OWN = {"own function", "own function of dtypes"}
OF_TEXTS: dict[str, Callable[[], Any]] = {
    "tf-idf": TfidfVectorizer,
    "counts of characters": lambda: CountVectorizer(analyzer="char", lowercase=False, dtype=float),
    "hashed texts": lambda: HashingVectorizer(n_features=32),
}
OF_DICTIONARIES: dict[str, Callable[[], Any]] = {
    "dictionaries": lambda: DictVectorizer(sparse=False),
    "hashed dictionaries": lambda: FeatureHasher(16),
}
HANDLINGS = ["bare", "scaled", ALL_COLUMNS, *CHOICES, *sorted(OWN), *OF_TEXTS, *OF_DICTIONARIES]


_WITHOUT_ENCODER: dict[str, Callable[[], Any]] = {
    "bare": lambda: None, "scaled": StandardScaler, "own function": lambda: FunctionTransformer(own_features),
    **OF_TEXTS, **OF_DICTIONARIES,
}  # fmt: skip


def before(handling: str, encoder: str, frame: pd.DataFrame, *, imputes: bool) -> Any | None:
    """What stands before the estimator; `imputes` fills the plain numbers."""
    if handling == "own function of dtypes":
        return FunctionTransformer(of_their_dtypes, kw_args={"dtypes": {n: str(d) for n, d in frame.dtypes.items()}})
    if handling in _WITHOUT_ENCODER:
        return _WITHOUT_ENCODER[handling]()
    if handling == ALL_COLUMNS:
        return ENCODERS[encoder]()
    odd, numbers = CHOICES[handling](frame.columns[0] == NUMBERS[0])
    plain = SimpleImputer() if imputes else "passthrough"
    return ColumnTransformer([("odd", ENCODERS[encoder](), odd), ("numbers", plain, numbers)])
