"""Features as JSON Schema writes them: their validation, and a synthetic example of each.

A feature may have the words of JSON Schema that `WORDS` lists. `pii` says what may be stored of its values. Notes for
people are `x-observed` (its range in a sample), `x-categories` (what an encoder has learnt) and `x-unit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from pydantic_core import CoreSchema, PydanticCustomError, SchemaError, SchemaValidator, ValidationError, core_schema

from inference.rows.feature_names import name_fault
from inference.rows.integers import integer_schema

BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
LENGTHS = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"}
NOTES = frozenset({"title", "description", "examples", "x-observed", "x-categories", "x-unit", "x-dtype"})
#: Texts that are instants (RFC 3339, as `format` has them in JSON Schema), and an example of each.
FORMATS = {"date": "2024-02-29", "date-time": "2024-02-29T12:00:00"}
WORDS = frozenset({"type", "enum", "format", "pii"}) | NOTES | BOUNDS.keys() | LENGTHS.keys()
PII = ("no", "mask", "fingerprint", "drop")
KINDS = ("number", "integer", "boolean", "string")
MAX_FEATURES = 10_000
#: A text has at most so many characters unless the schema says otherwise: it is searched for personal data.
MAX_TEXT_CHARACTERS = 10_000


class UnsupportedSchema(ValueError):
    """The document says something that rows cannot be validated by; the words say what."""


def row_fields(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, core_schema.TypedDictField]:
    """The validator of each feature of a row. Raises `UnsupportedSchema`."""
    if not properties:
        raise UnsupportedSchema("a row needs at least one feature")
    if len(properties) > MAX_FEATURES:
        raise UnsupportedSchema(f"a row has at most {MAX_FEATURES} features")
    return {name: core_schema.typed_dict_field(_feature_schema(name, spec)) for name, spec in properties.items()}


def _feature_schema(name: str, spec: Mapping[str, Any]) -> CoreSchema:
    kind = kind_of(name, spec)
    _check_words(name, spec, kind)
    if "enum" in spec:
        schema = _enum_schema(kind, spec["enum"])
    elif kind == "number":
        schema = core_schema.float_schema(strict=True, allow_inf_nan=False, **_given(spec, BOUNDS))
    elif kind == "integer":
        schema = integer_schema(_given(spec, BOUNDS))
    elif kind == "boolean":
        schema = core_schema.bool_schema(strict=True)
    else:
        schema = core_schema.str_schema(strict=True, **_given({**spec, **_default_length(spec)}, LENGTHS))
        if "format" in spec:
            schema = core_schema.no_info_after_validator_function(_INSTANTS[spec["format"]], schema)
    try:
        SchemaValidator(schema)
    except SchemaError:
        raise UnsupportedSchema(f"feature {name} has an impossible bound or pattern") from None
    return core_schema.nullable_schema(schema) if is_nullable(spec) else schema


def _check_words(name: str, spec: Mapping[str, Any], kind: str) -> None:
    if name_fault(name):
        raise UnsupportedSchema(name_fault(name))
    if unknown := sorted(spec.keys() - WORDS):
        raise UnsupportedSchema(f"feature {name} has words that are not served: {', '.join(map(str, unknown))[:200]}")
    if spec.get("pii", "no") not in PII:
        raise UnsupportedSchema(f"feature {name} has a pii other than {', '.join(PII)}")
    fitting: Any = {"number": BOUNDS.keys(), "integer": BOUNDS.keys(), "string": LENGTHS.keys()}.get(kind, frozenset())
    if "format" in spec and (kind != "string" or spec["format"] not in FORMATS):
        raise UnsupportedSchema(f"feature {name} has a format other than {', '.join(FORMATS)} of a text")
    if misplaced := sorted((spec.keys() & (BOUNDS.keys() | LENGTHS.keys())) - fitting):
        raise UnsupportedSchema(f"feature {name} is a {kind}, which has no {', '.join(misplaced)}")
    for word in spec.keys() & (BOUNDS.keys() | {"minLength", "maxLength"}):
        bound = spec[word]
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            raise UnsupportedSchema(f"feature {name} has a {word} that is not a number")


def _enum_schema(kind: str, values: Any) -> CoreSchema:
    python_type: Any = {"string": str, "integer": int, "number": (int, float), "boolean": bool}[kind]

    def is_of_kind(value: Any) -> bool:
        return isinstance(value, python_type) and isinstance(value, bool) == (kind == "boolean")

    if not isinstance(values, list) or not values or not all(map(is_of_kind, values)):
        raise UnsupportedSchema(f"an enum is a list of the feature's own type, {kind}")
    if kind == "string":
        return core_schema.literal_schema(values)
    bare = {
        "integer": integer_schema(None),
        "number": core_schema.float_schema(strict=True),
        "boolean": core_schema.bool_schema(strict=True),
    }
    known = frozenset(values)

    def check(value: Any) -> Any:
        if value not in known:
            raise PydanticCustomError("literal_error", "is not one of the values that the schema lists")
        return value

    return core_schema.no_info_after_validator_function(check, bare[kind])


def _instant(parse: Callable[[str], Any]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError:
            raise PydanticCustomError("instant", "is not an instant") from None
        return text

    return check


_INSTANTS = {"date": _instant(date.fromisoformat), "date-time": _instant(datetime.fromisoformat)}


def _default_length(spec: Mapping[str, Any]) -> dict[str, Any]:
    is_bounded = "maxLength" in spec or "enum" in spec or not is_text(spec)
    return {} if is_bounded else {"maxLength": max(MAX_TEXT_CHARACTERS, int(spec.get("minLength", 0)))}


def with_default_lengths(document: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as callers are shown it: texts without a `maxLength` have the default one."""
    properties = {name: {**spec, **_default_length(spec)} for name, spec in document["properties"].items()}
    return {**document, "properties": properties}


def _given(spec: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    return {ours: spec[word] for word, ours in words.items() if word in spec}


def kind_of(name: str, spec: Mapping[str, Any]) -> str:
    """The feature's only type except null. Raises `UnsupportedSchema`."""
    given = spec.get("type")
    kinds = [kind for kind in (given if isinstance(given, list) else [given]) if kind != "null"]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise UnsupportedSchema(f"feature {name} has a type other than {', '.join(KINDS)}, each with or without null")
    return str(kinds[0])


def is_nullable(spec: Mapping[str, Any]) -> bool:
    return isinstance(spec["type"], list) and "null" in spec["type"]


def is_text(spec: Mapping[str, Any]) -> bool:
    """Whether its values are texts."""
    return "string" in (spec["type"] if isinstance(spec["type"], list) else [spec["type"]])


def example_row(document: Mapping[str, Any]) -> dict[str, Any]:
    """A synthetic row, from the middle of each feature's known range."""
    return {name: example_of(name, feature) for name, feature in document["properties"].items()}


def example_of(name: str, spec: Mapping[str, Any]) -> Any:
    """A made-up value that the schema allows: the first of those listed, or the middle of the known range."""
    for word in ("examples", "enum", "x-categories"):
        if spec.get(word):
            return spec[word][0]
    makers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "boolean": lambda _: True,
        "string": _example_text,
        "integer": _example_integer,
        "number": _example_number,
    }
    return makers[kind_of(name, spec)](spec)


def _example_text(spec: Mapping[str, Any]) -> str:
    if "format" in spec:
        return FORMATS[spec["format"]]
    text = "text"
    least, most = int(spec.get("minLength", 0)), int(spec.get("maxLength", len(text)))
    return (text * (1 + least // len(text)))[: max(least, min(most, len(text)))]


def _example_integer(spec: Mapping[str, Any]) -> int:
    low, high = _range(spec)
    middle = low + 1 if high is None else (low + high) / 2
    return math.ceil(middle) if math.ceil(middle) <= (middle if high is None else high) else math.floor(middle)


def _example_number(spec: Mapping[str, Any]) -> float:
    low, high = _range(spec)
    middle = low + 1 if high is None else (low + high) / 2
    short = float(f"{middle:.3g}")
    return short if low < short and (high is None or short < high) else middle


def _range(spec: Mapping[str, Any]) -> tuple[float, float | None]:
    """The range of values: the observed one within the bounds, or the bounds alone."""
    least, most = _bound(spec, "exclusiveMinimum", "minimum"), _bound(spec, "exclusiveMaximum", "maximum")
    low, high = spec.get("x-observed") or (least, most)
    low = least if low is None or (least is not None and low < least) else low
    high = most if high is None or (most is not None and high > most) else high
    if low is None:
        low = 0.0 if high is None else high - 2
    return low, None if high is None or high < low else high


def _bound(spec: Mapping[str, Any], *words: str) -> float | None:
    return next((float(spec[word]) for word in words if word in spec), None)


def is_valid(name: str, spec: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Tells of a value whether a row may have it. The validator is made once."""
    validator = SchemaValidator(_feature_schema(name, spec))

    def is_one(value: Any) -> bool:
        try:
            validator.validate_python(value)
        except ValidationError:
            return False
        return True

    return is_one


def without_personal_notes(document: dict[str, Any]) -> dict[str, Any]:
    """The schema without the observed values of sensitive features: the smallest and the largest are somebody's."""
    observed = {"x-observed", "x-categories"}
    properties = {
        name: {word: value for word, value in spec.items() if word not in observed or spec.get("pii", "no") == "no"}
        for name, spec in document["properties"].items()
    }
    return {**document, "properties": properties}
