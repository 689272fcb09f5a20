"""Finds a model's features in the model and in a sample, and lays the operator's own schema over them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from examination.encoders import Categories, attribute, encoded_by, plain
from examination.given_schema import RefusedSchema, check_given
from examination.large_integers import check_integers
from inference.feature_names import with_likeness
from inference.features import row_fields
from inference.files.onnx_files import OnnxModel
from inference.graphs import feature_names, input_types

MAX_NOTED_CATEGORIES = 100
MAX_CATEGORIES = 10_000
_INSTANTS = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?"),
}
_KINDS = {str: "string", int: "integer", bool: "boolean"}
_UNNAMED = re.compile(r"Unnamed: \d+")


def discover(estimator: Any, sample: Any | None, target: str | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of a row. `sample` is a data frame, of which `target` is no feature; `given` overrides.

    Raises `RefusedSchema` or `UnsupportedSchema`.
    """
    if given is not None:
        check_given(given)
    if sample is not None and target is not None:
        if target not in sample.columns:
            raise RefusedSchema(f"the sample has no column {target}")
        sample = sample.drop(columns=[target])
    names, own_names = _names(estimator, sample, given)
    encoded = encoded_by(estimator, names)
    properties = {}
    for name, own_name in zip(names, own_names, strict=True):
        spec = _of_column(name, sample[name]) if sample is not None else {"type": "number"}
        properties[name] = {**spec, **_of_model(estimator, own_name, spec, encoded.get(own_name)), "pii": "no"}
    for name, words in ((given or {}).get("properties") or {}).items():
        properties[name] = {**properties[name], **words}
    document = {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
    row_fields(properties)
    return document


def features_of(sample: Any, document: Mapping[str, Any]) -> Any:
    """The sample's columns that are features, in their order."""
    return sample[list(document["properties"])]


def _names(estimator: Any, sample: Any | None, given: Mapping[str, Any] | None) -> tuple[list[str], list[str]]:
    """The features' names as callers use them, and as the model knows them."""
    known = _known_to(estimator)
    described = list((given or {}).get("properties") or {})
    if isinstance(known, list):
        if sample is not None and known in _as_libraries_write(list(sample.columns)):
            return list(sample.columns), known
        if sample is not None and (missing := [name for name in known if name not in sample.columns]):
            lacking = ", ".join(with_likeness(name, sample.columns) for name in missing[:10])
            raise RefusedSchema(f"the sample lacks columns that the model was trained on: {lacking}")
        if foreign := [name for name in described if name not in known]:
            raise RefusedSchema(f"the schema has features that the model does not know: {', '.join(foreign[:10])}")
        return known, known
    if sample is not None:
        names = [f"x{number}" if _UNNAMED.fullmatch(name) else name for number, name in enumerate(sample.columns)]
        if known is not None and len(names) != known:
            raise RefusedSchema(
                f"the model takes {known} features and the sample has {len(names)} columns: --target names the one"
                " that is no feature"
            )
        sample.columns = names
        if foreign := [name for name in described if name not in names]:
            raise RefusedSchema(f"the schema has features that the sample does not: {', '.join(foreign[:10])}")
    elif known is None and not described:
        raise RefusedSchema("the model does not say what it takes: register it with a sample or a schema")
    else:
        names = described if known is None or len(described) == known else [f"x{number}" for number in range(known)]
        if foreign := [name for name in described if name not in names]:
            raise RefusedSchema(f"the schema names {', '.join(foreign[:10])}, and the model takes {known} features")
    return names, [f"x{number}" for number in range(len(names))]


def _as_libraries_write(names: list[str]) -> list[list[str]]:
    """The names as LightGBM writes them, without spaces, and as skl2onnx does: letters, digits, `_` and `+`."""
    plain = [re.sub(r"[^\w+]", "_", name) for name in names]
    return [[name.replace(" ", "_") for name in names], [f"_{name}" if name[0].isdigit() else name for name in plain]]


def _known_to(estimator: Any) -> list[str] | int | None:
    if isinstance(estimator, OnnxModel):
        return feature_names(estimator.content)
    names = attribute(estimator, "feature_names_in_")
    if names is not None:
        return [str(name) for name in names]
    count = attribute(estimator, "n_features_in_")
    return None if count is None else int(count)


def _of_column(name: str, column: Any) -> dict[str, Any]:
    """The schema of a feature by its column in a sample. Raises `RefusedSchema` for a type that JSON does not have."""
    check_integers(name, column)
    missing = bool(column.isna().any())
    kind = column.dtype.kind
    spec: dict[str, Any]
    if str(column.dtype) == "category":
        categories = [plain(each) for each in column.cat.categories]
        texts = all(isinstance(each, str) for each in categories)
        spec = {"type": "string" if texts else "integer", "enum": categories, "x-dtype": "category"}
    elif kind == "b" or (kind == "O" and _all(column, bool)):
        spec = {"type": "boolean"}
    elif kind in "iu":
        spec = {"type": "integer", **_range(column)}
    elif kind == "f":
        spec = {"type": "number", **_range(column)}
    elif _all(column, str):
        spec = {"type": "string", **_format(column)}
    else:
        raise RefusedSchema(f"the column {name} has type {column.dtype}: give it as numbers, texts or truth values")
    return {**spec, "type": [spec["type"], "null"]} if missing else spec


def _all(column: Any, kind: type) -> bool:
    return all(isinstance(value, kind) for value in column.dropna())


def _format(column: Any) -> dict[str, Any]:
    """The `format` of the column, if all its texts are instants of one form."""
    texts = column.dropna().tolist()
    for word, form in _INSTANTS.items():
        if texts and all(form.fullmatch(text) for text in texts):
            return {"format": word}
    return {}


def _range(column: Any) -> dict[str, Any]:
    values = [value for value in column.dropna().tolist() if math.isfinite(value)]
    return {"x-observed": [min(values), max(values)]} if values else {}


def _of_model(estimator: Any, name: str, spec: Mapping[str, Any], encoded: Categories | None) -> dict[str, Any]:
    """The model's own part of the schema: the categories that it knows, and whether it refuses any other."""
    if isinstance(estimator, OnnxModel):
        found = input_types(estimator.content).get(name)
        return {"type": found} if found and found != "number" else {}
    if encoded is None or spec.get("x-dtype") == "category":
        return {}
    if encoded.is_text:
        return {"type": _nullable("string", spec)}
    values, has_null = encoded.values, encoded.has_null or isinstance(spec["type"], list)
    name_of_kind = next(
        (word for kind, word in _KINDS.items() if values and all(type(v) is kind for v in values)), None
    )
    if name_of_kind is None:
        return {}
    kind: Any = [name_of_kind, "null"] if has_null else name_of_kind
    if encoded.is_closed and len(values) <= MAX_CATEGORIES:
        return {"type": kind, "enum": values}
    return {"type": kind, "x-categories": values} if len(values) <= MAX_NOTED_CATEGORIES else {"type": kind}


def _nullable(kind: str, spec: Mapping[str, Any]) -> Any:
    return [kind, "null"] if isinstance(spec["type"], list) else kind
