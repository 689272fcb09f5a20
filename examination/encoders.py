"""A model's own encoders: the categories that they have learnt of its columns, or that a column is text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Categories:
    """A step's knowledge of a column: its categories, or that it is text."""

    def __init__(self, values: Sequence[Any] = (), *, is_closed: bool = False, is_text: bool = False) -> None:
        self.values = [each for each in map(plain, values) if each is not None]
        self.has_null = len(self.values) < len(values)
        self.is_closed = is_closed
        self.is_text = is_text


def encoded_by(estimator: Any, names: Sequence[str]) -> dict[str, Categories]:
    """The categories that the model's encoders have learnt, by its own names of the columns."""
    steps = _steps(estimator, list(names))
    return {column: categories for step, columns in steps for column, categories in _learnt(step, columns)}


def _steps(estimator: Any, columns: list[str]) -> Iterator[tuple[Any, list[str]]]:
    """The steps that see columns as they come, with the columns that each sees."""
    if hasattr(estimator, "transformers_"):
        own = attribute(estimator, "feature_names_in_")
        known = columns if own is None else [str(name) for name in own]
        for _, step, chosen in estimator.transformers_:
            yield from _steps(step, _chosen(chosen, known))
    elif hasattr(estimator, "steps"):
        for _, step in estimator.steps:
            yield from _steps(step, columns)
            if not _keeps_columns(step):
                break
    else:
        for wrapped in ("best_estimator_", "estimator_"):
            if hasattr(estimator, wrapped):
                yield from _steps(getattr(estimator, wrapped), columns)
                return
        yield estimator, columns


def _chosen(chosen: Any, known: list[str]) -> list[str]:
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        return known[chosen] if not isinstance(chosen.start, str) else known
    values = np.asarray(chosen).ravel().tolist() if not callable(chosen) else []
    if values and all(isinstance(value, bool) for value in values):
        return [name for name, is_in in zip(known, values, strict=False) if is_in]
    return [value if isinstance(value, str) else known[value] for value in values]


def _keeps_columns(step: Any) -> bool:
    """Whether the step behind it sees the same columns."""
    return type(step).__name__ in {"SimpleImputer", "StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler"}


def _learnt(step: Any, columns: list[str]) -> Iterator[tuple[str, Categories]]:
    if type(step).__name__.endswith("Vectorizer"):
        yield from ((column, Categories(is_text=True)) for column in columns)
    learnt = attribute(step, "categories_")
    if learnt is None or len(learnt) != len(columns):
        return
    is_closed = getattr(step, "handle_unknown", "error") == "error" and not type(step).__name__.startswith("Target")
    for column, values in zip(columns, learnt, strict=True):
        yield column, Categories(list(values), is_closed=is_closed)


def attribute(estimator: Any, name: str) -> Any:
    """An attribute of an estimator, or None if it does not exist or asking raises."""
    try:
        return getattr(estimator, name, None)
    except Exception:  # noqa: BLE001  a pipeline asks its first step, which may raise anything
        return None


def plain(value: Any) -> Any:
    """The value in Python's own type; None for a missing one."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value
