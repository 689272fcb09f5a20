"""The form of input in which a model answers rows from JSON as it answers its own kind of input.

The model is asked in the form that it was trained on, straight from the sample. Rows of JSON in the form that will be
served must get the same answers, label for label: a form that the model refuses, or answers otherwise, is not served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from examination.columns.discovery import Features
from examination.compiling.independence import is_near
from examination.compiling.probe_rows import answerable
from examination.compiling.random_rows import SEED, random_rows
from inference.engines import Engine, TrainedEngine
from inference.estimators import is_own_code, parts_of
from inference.files.code_words import words_of
from inference.files.model_files import RefusedFile
from inference.outputs import NotComputable, NotServable, Predictions, class_names_of, predict_with
from inference.rows.inputs import Kind, Row, inputs_of
from inference.rows.schema import InvalidRows, RowSchema

#: Rows made from the schema on which forms are compared if there is no sample.
DRAWN_ROWS = 200
TRAINED_TOLERANCE = 1e-9
COMPILED_TOLERANCE = 1e-5


class Asked(NamedTuple):
    """Rows as JSON has them, and the sample's own frame of them if there is a sample."""

    rows: list[Row]
    frame: Any | None


class Form(NamedTuple):
    """A form of input: the kind that is served, the engine that gives it, and the model's own answers to the rows."""

    kind: Kind
    trained: TrainedEngine
    expected: Predictions


def form_of(estimator: Any, features: Features, schema: RowSchema, asked: Asked) -> Form:
    """The form to serve. Raises `NotServable` or `NotComputable`."""
    failure: Exception | None = None
    is_numeric = _is_numeric(features, schema)
    for own in _own_kinds(features, schema, is_numeric=is_numeric):
        try:
            kinds: list[Kind] = ["matrix", own] if own == "frame" and is_numeric else [own]
            rows = asked.rows if asked.frame is not None else _drawn(estimator, own, schema, asked.rows)
            form = _served(estimator, kinds, schema, Asked(rows, asked.frame))
        except (NotServable, NotComputable) as refused:
            failure = failure if isinstance(failure, NotServable | NotComputable) else refused
        except Exception as error:  # noqa: BLE001  a model may raise anything
            failure = failure or error
        else:
            return form
    if isinstance(failure, NotServable | NotComputable):
        raise failure
    if isinstance(failure, ImportError):
        raise RefusedFile(words_of(failure))
    raise NotServable(
        f"it cannot answer {_asked_for(asked)}: {raised_by(estimator, failure)}. Try the same in the notebook; if the"
        " model was trained on a frame with categories, dates or pandas' own types, give the sample as Parquet"
    )


def _asked_for(asked: Asked) -> str:
    return "a row made from its schema (a sample would say more)" if asked.frame is None else "the sample's rows"


def raised_by(estimator: Any, error: BaseException | None) -> str:
    """The part of the model that raised the error, in words, without the error's own: those may hold rows."""
    parts = {id(part) for part in parts_of(estimator)}
    trace, last = None if error is None else error.__traceback__, None
    while trace is not None:
        own = trace.tb_frame.f_locals.get("self")
        last = own if id(own) in parts else last
        trace = trace.tb_next
    return f"its {type(estimator if last is None else last).__name__} raises {type(error).__name__}"


def _own_kinds(features: Features, schema: RowSchema, *, is_numeric: bool) -> list[Kind]:
    """The forms that the model may have been trained on, the likeliest first."""
    if features.dictionaries:
        return ["dictionaries"]
    if features.has_names:
        return ["frame"]
    if is_numeric:
        return ["matrix", "frame", "objects"]
    return ["texts", "frame", "objects"] if len(schema.names) == 1 and schema.has_text else ["frame", "objects"]


def _is_numeric(features: Features, schema: RowSchema) -> bool:
    """Whether a matrix of float64 has all that the model knows of its columns."""
    specs = schema.document["properties"].values()
    if any(known.are_float32 for known in features.hints.known.values()):
        return False
    return not schema.has_text and not any(str(spec.get("x-dtype")).endswith("category") for spec in specs)


def _served(estimator: Any, kinds: Sequence[Kind], schema: RowSchema, asked: Asked) -> Form:
    """The first of the forms in which the model answers as in the last, its own; raises what it raises in that one."""
    own = kinds[-1]
    document, rows = schema.document, asked.rows
    own_inputs = inputs_of(own, document)
    given = own_inputs(rows) if asked.frame is None else _given(own, asked.frame)
    names = class_names_of(estimator, given)
    expected = predict_with(estimator, given, len(rows), names)
    if any(map(is_own_code, parts_of(estimator))) and not _agree(
        predict_with(estimator, given, len(rows), names), expected
    ):
        raise NotServable(
            "its own code answers the same rows differently each time: let it draw nothing at random, and keep nothing"
            " from one call to the next"
        )
    difference: str | None = None
    for kind in kinds:
        engine = TrainedEngine(estimator, inputs_of(kind, document), names)
        try:
            difference = differs(engine, schema, rows, expected, TRAINED_TOLERANCE)
        except Exception:  # a model may refuse a matrix in any way
            if kind == own:
                raise
            continue
        if difference is None:
            return Form(kind, engine, expected)
    raise NotServable(_otherwise(difference, asked))


def _otherwise(difference: str | None, asked: Asked) -> str:
    rows = "the sample" if asked.frame is not None else "rows made from its schema"
    return (
        f"it answers {rows} otherwise than the same rows from JSON ({difference}): give the sample as Parquet, or train"
        " the model on columns that JSON can say"
    )


def _given(kind: Kind, frame: Any) -> Any:
    """The sample as a model of that kind takes it, without a way over JSON."""
    if kind == "matrix":
        return frame.to_numpy(dtype=np.float64)
    if kind == "texts":
        return frame.iloc[:, 0].tolist()
    if kind == "objects":
        return frame.to_numpy(dtype=object)
    if kind == "dictionaries":
        records = frame.astype(object).to_dict("records")
        return [{name: value for name, value in record.items() if not _is_missing(value)} for record in records]
    return frame


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124  NaN is not itself


def _drawn(estimator: Any, kind: Kind, schema: RowSchema, rows: Sequence[Row]) -> list[Row]:
    """The rows given, and others that the schema allows; those that the model does not answer are left out."""
    inputs = inputs_of(kind, schema.document)
    engine = TrainedEngine(estimator, inputs, class_names_of(estimator, inputs(rows)))
    drawn = random_rows(schema.document["properties"], rows, np.random.default_rng(SEED))[:DRAWN_ROWS]
    return [*rows, *answerable(engine, drawn)[0]]


def differs(
    engine: Engine, schema: RowSchema, rows: Sequence[Row], expected: Predictions, tolerance: float
) -> str | None:
    """How the engine's answers to the rows, from their own JSON, differ from the expected ones; None if they do not.

    A label is right if the engine gives it to the row alone: next to a tie the last bit of a product decides.
    """
    for start in range(0, len(rows), schema.max_rows):
        some = rows_from_json(schema, rows[start : start + schema.max_rows])
        found = engine.compute(some)
        for number, row in enumerate(some):
            wanted = expected.labels[start + number]
            if not _is_same(found.labels[number], wanted, tolerance):
                if engine.compute([row]).labels[0] == wanted and type(found.labels[number]) is type(wanted):
                    continue
                kind = "numbers" if isinstance(wanted, float) else "labels"
                return f"other {kind}, first in row {start + number + 1}"
            if found.probabilities is not None and expected.probabilities is not None:
                chances = expected.probabilities[start + number]
                if not is_near(_listed(found.probabilities[number]), _listed(chances), tolerance):
                    return f"other probabilities, first in row {start + number + 1}"
    return None


def is_same(one: Form, other: Form) -> bool:
    """Whether two readings of a sample have the same answers."""
    return _agree(one.expected, other.expected)


def _agree(ours: Predictions, theirs: Predictions) -> bool:
    if len(ours.labels) != len(theirs.labels):
        return False
    return all(_is_same(*pair, TRAINED_TOLERANCE) for pair in zip(ours.labels, theirs.labels, strict=True)) and is_near(
        _listed(ours.probabilities), _listed(theirs.probabilities), TRAINED_TOLERANCE
    )


def _listed(values: Any) -> Any:
    return [_listed(each) for each in values] if isinstance(values, list | tuple) else values


def _is_same(found: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(_is_same(*pair, tolerance) for pair in zip(found, wanted, strict=True))
    if isinstance(wanted, float):
        return is_near(found, wanted, tolerance)
    return type(found) is type(wanted) and bool(found == wanted)


def rows_from_json(schema: RowSchema, rows: Sequence[Row]) -> list[Row]:
    """The rows as they come out of their own JSON text."""
    text = orjson.dumps(list(rows))
    found = schema.rows_of(text)
    return found if found is not None else schema.checked(schema.parsed(text), lambda row: f"/{row}")


def allowed_rows(schema: RowSchema, rows: Sequence[Row]) -> list[int]:
    """The places of the rows that the schema takes: bounds and closed categories may refuse others.

    Raises `NotServable` for a value of another type than its feature has: the sample was read wrongly.
    """
    found = []
    for place, row in enumerate(rows):
        try:
            schema.checked([row], lambda _: "")
        except InvalidRows as refused:
            if wrong := next((each for each in refused.errors if each.rule == "type"), None):
                raise NotServable(_misread(wrong.at.removeprefix("/"))) from None
        else:
            found.append(place)
    return found


def _misread(name: str) -> str:
    return (
        f"the sample's column {name} has values of another type than the model has learnt of it: give the sample as"
        " Parquet, as it was when the model was trained"
    )
