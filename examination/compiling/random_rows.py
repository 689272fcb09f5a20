"""Rows made at random from a model's schema, in and around the values that a sample has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.rows.features import example_of, is_nullable, is_text, is_valid, kind_of
from inference.rows.inputs import Row

RANDOM_ROWS = 2_000
#: A model of very many features is asked fewer rows, so that all together have no more values than these.
MAX_VALUES = 2_000_000
SEED = 20260101
_NULL_SHARE = 0.1
_DEFAULT_RANGES = ((-1.0, 1.0), (-100.0, 100.0), (0.0, 10_000.0))

Properties = Mapping[str, Mapping[str, Any]]


def random_rows(properties: Properties, sample: Sequence[Row], random: np.random.Generator) -> list[Row]:
    """Rows that the schema allows, in and around the observed values, with unknown categories and nulls among them."""
    count = at_most(RANDOM_ROWS, len(properties))
    columns = {
        name: _random_values(name, spec, [row[name] for row in sample], random, count)
        for name, spec in properties.items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def at_most(rows: int, features: int) -> int:
    """So many rows, or as many as `MAX_VALUES` leaves room for."""
    return min(rows, max(1, MAX_VALUES // features))


def _random_values(
    name: str, spec: Mapping[str, Any], seen: list[Any], random: np.random.Generator, count: int
) -> list[Any]:
    kind = kind_of(name, spec)
    values: list[Any]
    if "enum" in spec or is_text(spec) or kind == "boolean":
        choices = _choices(spec, seen, kind)
        values = [choices[index] for index in random.integers(0, len(choices), count)]
    else:
        values = _numbers(spec, seen, random, count, whole=kind == "integer")
    is_one, example = is_valid(name, spec), example_of(name, spec)
    values = [value if is_one(value) else example for value in values]
    if is_nullable(spec):
        values = [None if random.random() < _NULL_SHARE else value for value in values]
    return values


def _choices(spec: Mapping[str, Any], seen: list[Any], kind: str) -> list[Any]:
    if kind == "boolean":
        return [True, False]
    listed = spec.get("enum") or spec.get("x-categories") or sorted({value for value in seen if value is not None})
    return list(listed) if "enum" in spec else [*listed, "", "unheard of", "ÄÖ ß 中文"]


def _numbers(
    spec: Mapping[str, Any], seen: list[Any], random: np.random.Generator, count: int, *, whole: bool
) -> list[Any]:
    known = [value for value in seen if value is not None] or spec.get("x-observed")
    if known:
        low, high = min(known), max(known)
        around = (high - low) * 0.25 or abs(low) * 0.25 or 1.0
        drawn = random.uniform(low - around, high + around, count)
    else:
        low = spec.get("minimum", spec.get("exclusiveMinimum"))
        high = spec.get("maximum", spec.get("exclusiveMaximum"))
        ranges: Sequence[Any] = [(low, high)] if low is not None and high is not None else _DEFAULT_RANGES
        drawn = np.concatenate([random.uniform(least, most, count) for least, most in ranges])
        drawn = random.choice(drawn, count)
    return [int(value) for value in np.rint(drawn)] if whole else [float(value) for value in drawn]
