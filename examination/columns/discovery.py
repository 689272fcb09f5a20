"""Finds a model's features in the model and in a sample, and lays the operator's own schema over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from examination.columns.boosters import column_names, is_shown
from examination.columns.categories import Categories
from examination.columns.column_schemas import of_column, of_model
from examination.columns.encoders import (
    attribute,
    filled_as_floats,
    first_step,
    known_by_parts,
    known_dictionaries,
    seen_by_own_code,
    takes_texts,
)
from examination.columns.given_schema import RefusedSchema
from examination.columns.samples import Hints
from inference.estimators import parts_of
from inference.files.onnx_files import OnnxModel
from inference.graphs import feature_names, input_types
from inference.rows.columns import check_dtype
from inference.rows.feature_names import with_likeness
from inference.rows.features import row_fields

_UNNAMED = re.compile(r"Unnamed: \d+")


class Features(NamedTuple):
    """A model's features in order: `names` as callers use them, `columns` as the sample calls them.

    `has_names` says that the model was trained on named columns. `dictionaries` says that it takes dictionaries.
    """

    names: list[str]
    columns: dict[str, str]
    hints: Hints
    has_names: bool
    dictionaries: bool


def features_of(
    estimator: Any, sample: Sequence[str] | None, target: str | None, given: Mapping[str, Any] | None
) -> Features:
    """The model's features. `sample` are the names of a sample's columns, of which `target` is no feature.

    Raises `RefusedSchema`.
    """
    if sample is not None and target is not None:
        if target not in sample:
            raise RefusedSchema(f"the sample has no column {target}: --target names one of its columns")
        sample = [name for name in sample if name != target]
    specs: Mapping[str, Mapping[str, Any]] = (given or {}).get("properties") or {}
    members = known_dictionaries(estimator)
    known = _known_to(estimator, sample or ()) if members is None else (list(members) or None)
    names, own, columns = _names(known, sample, list(specs))
    has_names = isinstance(known, list)
    if members is not None:
        learnt = {name: each for name, each in members.items() if each.learnt}
        return Features(names, columns, Hints(learnt, specs, frozenset()), has_names=has_names, dictionaries=True)
    by_place = known_by_parts(estimator, own) if not isinstance(estimator, OnnxModel) else _texts_of(estimator, own)
    learnt = {names[place]: each for place, each in by_place.items() if place < len(names)}
    hints = Hints(learnt, specs, frozenset())
    seen = {names[place]: part for place, part in seen_by_own_code(estimator, own).items() if place < len(names)}
    open_to_it = {name: part for name, part in seen.items() if not hints.says_type(name)}
    if sample is None and has_names and open_to_it:
        name, part = next(iter(open_to_it.items()))
        raise RefusedSchema(
            f"the model's own code ({part}) sees the column {name}, and nothing says of which type that is: register"
            " the model with a sample (Parquet keeps the types), or say it in a schema"
        )
    groups = [[names[place] for place in group if place < len(names)] for group in filled_as_floats(estimator, own)]
    hints = hints._replace(own_code=frozenset(open_to_it), floats=groups)
    return Features(names, columns, hints, has_names=has_names, dictionaries=False)


def _texts_of(model: OnnxModel, names: Sequence[str]) -> dict[int, Categories]:
    """The inputs of a graph that are texts, by their places."""
    types = input_types(model.content)
    return {place: Categories(is_text=True) for place, name in enumerate(names) if types.get(name) == "string"}


def _names(
    known: list[str] | int | None, sample: Sequence[str] | None, described: Sequence[str]
) -> tuple[list[str], list[str], dict[str, str]]:
    """The features' names as callers use them, as the model knows them, and with their columns in the sample."""
    if isinstance(known, list):
        if sample is not None and known in _as_libraries_write(list(sample)):
            return list(sample), known, {name: name for name in sample}
        if sample is not None and (missing := [name for name in known if name not in sample]):
            lacking = ", ".join(with_likeness(name, sample) for name in missing[:10])
            raise RefusedSchema(f"the sample lacks columns that the model was trained on: {lacking}")
        if foreign := [name for name in described if name not in known]:
            raise RefusedSchema(f"the schema has features that the model does not know: {', '.join(foreign[:10])}")
        return known, known, {name: name for name in known}
    if sample is not None:
        names = [f"x{number}" if _UNNAMED.fullmatch(name) else name for number, name in enumerate(sample)]
        if known is not None and len(names) != known:
            raise RefusedSchema(
                f"the model takes {known} features and the sample has {len(names)} columns: --target names the one"
                " that is no feature"
            )
        if foreign := [name for name in described if name not in names]:
            raise RefusedSchema(f"the schema has features that the sample does not: {', '.join(foreign[:10])}")
        columns = dict(zip(names, sample, strict=True))
    elif known is None and not described:
        raise RefusedSchema("the model does not say what it takes: register it with a sample or a schema")
    else:
        names = [f"x{number}" for number in range(known or 0)]
        names = list(described) if known is None or len(described) == known else names
        if foreign := [name for name in described if name not in names]:
            raise RefusedSchema(f"the schema names {', '.join(foreign[:10])}, and the model takes {known} features")
        columns = {}
    return names, [f"x{number}" for number in range(len(names))], columns


def _as_libraries_write(names: list[str]) -> list[list[str]]:
    """The names as LightGBM writes them, without spaces, and as skl2onnx does: letters, digits, `_` and `+`."""
    plain = [re.sub(r"[^\w+]", "_", name) for name in names]
    return [[name.replace(" ", "_") for name in names], [f"_{name}" if name[:1].isdigit() else name for name in plain]]


def _known_to(estimator: Any, sample: Sequence[str]) -> list[str] | int | None:
    if isinstance(estimator, OnnxModel):
        return feature_names(estimator.content)
    names = attribute(estimator, "feature_names_in_")
    if names is not None:
        return [str(name) for name in names]
    if takes_texts(estimator):
        return 1
    if (found := column_names(first_step(estimator))) is not None:
        return found
    if (found := _known_behind_first(estimator, sample)) is not None:
        return found
    return int(attribute(estimator, "n_features_in_") or 0) or None


def _known_behind_first(estimator: Any, sample: Sequence[str]) -> list[str] | None:
    """The names that a later part has, if they are those of the sample.

    An own first step seldom keeps names. The part behind it refuses columns in another order, but not a matrix.
    """
    for part in parts_of(estimator):
        names = attribute(part, "feature_names_in_")
        if names is not None and sorted(map(str, names)) == sorted(sample):
            return [str(name) for name in names]
    return None


def describe(estimator: Any, features: Features, frame: Any | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of a row; `frame` has the sample's features. The operator's own words replace those found.

    Raises `RefusedSchema` or `UnsupportedSchema`.
    """
    types = input_types(estimator.content) if isinstance(estimator, OnnxModel) else {}
    properties: dict[str, dict[str, Any]] = {}
    for name in features.names:
        spec = of_column(name, frame[name]) if frame is not None else {"type": "number"}
        known = features.hints.known.get(name)
        if known is not None and known.unreadable and not is_shown(known, name, frame):
            raise RefusedSchema(f"the column {name} cannot be served: {known.unreadable}")
        properties[name] = {**spec, **of_model(types.get(name), spec, known), "pii": "no"}
    for name, words in ((given or {}).get("properties") or {}).items():
        properties[name] = {**properties[name], **words}
    row_fields(properties)
    for name, spec in properties.items():
        check_dtype(name, spec)
    return {"type": "object", "properties": properties, "required": features.names, "additionalProperties": False}
