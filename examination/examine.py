"""Examines a model file before it may serve: whether it opens, which rows it takes, and how it answers."""

from __future__ import annotations

import json
import resource
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from examination.columns.discovery import Features, describe, features_of
from examination.columns.given_schema import RefusedSchema, check_given
from examination.columns.sample_columns import RefusedSample, rows_of
from examination.columns.samples import Reading, Sample
from examination.compiling.compilation import Compiled, compile_tested, versions, why_not
from examination.compiling.independence import is_independent
from examination.compiling.probe_rows import probes_of
from examination.compiling.random_rows import SEED, random_rows
from examination.contents import require_model
from examination.forms import COMPILED_TOLERANCE, Asked, Form, allowed_rows, differs, form_of, is_same
from examination.graph_outputs import told_outputs
from examination.orders import Examined, Order, RefusedModel
from examination.scores import scores_of
from inference.engines import CompiledEngine, Engine, compiled_engine
from inference.estimators import reads_files, use_one_thread
from inference.files.model_files import RefusedFile, open_model
from inference.files.onnx_files import OnnxModel
from inference.graphs import Graph
from inference.outputs import NotComputable, NotServable
from inference.registered_graphs import GraphEngine
from inference.report import CompilationReport, OutputsReport, ScoresReport
from inference.rows.features import UnsupportedSchema, without_personal_notes
from inference.rows.inputs import Kind, Row
from inference.rows.schema import RowSchema

#: The memory that the answers to `_MANY_ROWS` rows may take beyond the model's own.
MAX_COMPUTED_BYTES = 512 << 20
_ALONE_ROWS = 16
_MANY_ROWS = 1_000


def examine(model: bytes, sample: bytes | None, order: Order) -> Examined:
    """Opens and examines the file in this process. Raises `RefusedModel`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = open_model(model, order.format, order.trusted)
            require_model(estimator)
            if order.given is not None:
                check_given(order.given)
            rows = None if sample is None else Sample(sample, order.sample_name or "")
            return _examine_opened(estimator, rows, order)
    except (RefusedFile, RefusedSample, RefusedSchema, UnsupportedSchema) as refused:
        raise RefusedModel(str(refused)) from None
    except (NotServable, NotComputable) as refused:
        words = str(refused) or "it answers with numbers that are not finite"
        raise RefusedModel(f"the model cannot be served: {words}") from None


def _examine_opened(estimator: Any, sample: Sample | None, order: Order) -> Examined:
    features = features_of(estimator, None if sample is None else sample.columns, order.target, order.given)
    found = _of_readings(estimator, features, sample, order)
    asked = found.rows
    _require_answers(found.engine, asked)
    _require_example(found.engine, found.schema)
    report = CompilationReport(
        format=order.format,
        input=found.kind,
        classes=found.engine.class_names,
        batches=_is_independent(found.engine, [*asked[:_ALONE_ROWS], *found.telling]),
        sample_rows=found.sample_rows,
        engine=found.engine.name,
        reason=found.compiled.reason,
        comparison=found.compiled.comparison,
        versions=None if isinstance(estimator, OnnxModel) else versions(),
        outputs=found.outputs,
        scores=found.scores,
    )
    return Examined(dict(found.schema.document), report, found.compiled.model)


def _of_readings(estimator: Any, features: Features, sample: Sample | None, order: Order) -> _Found:
    """The findings by the first reading of the sample that the model answers. Raises what refused the first one.

    Another reading that the model answers too must have the same answers.
    """
    readings = [Reading(None)] if sample is None else sample.readings(features.columns, features.hints)
    refused: Exception | None = None
    found: _Read | None = None
    for frame, only_compared in readings:
        if only_compared and found is None:
            continue
        try:
            read = _read(estimator, features, frame, order)
        except (NotServable, NotComputable, RefusedSchema, UnsupportedSchema, RefusedSample) as error:
            refused = refused or error
            continue
        if found is None:
            found = read
        elif read.form is not None and found.form is not None and not is_same(read.form, found.form):
            raise RefusedSample(_ambiguous(frame, found.asked.frame))
    if found is None:
        raise refused or RefusedSample("the sample has no rows")
    if found.form is None:
        return _of_graph(estimator, found.schema, found.asked)
    return _of_estimator(estimator, found.schema, found.asked, found.form, is_compiled=order.is_compiled)


def _ambiguous(frame: Any, other: Any) -> str:
    names = [name for name in frame.columns if _kind(frame[name]) != _kind(other[name])] or list(frame.columns)
    if str(other[names[0]].dtype) == "category":
        return (
            f"a Parquet file does not keep the order of the categories of the column {names[0]}, and the model answers"
            " differently: train it on categories that are texts, which Parquet keeps in their order"
        )
    return (
        f"the CSV sample does not say of which type the column {names[0]} was, and the model answers differently: give"
        " the sample as Parquet (frame.to_parquet), or say the type in a schema"
    )


def _kind(column: Any) -> Any:
    """Its type, with the categories in their order: pandas calls unordered ones in any order the same."""
    dtype = str(column.dtype)
    return (dtype, column.cat.categories.tolist()) if dtype == "category" else dtype


class _Read(NamedTuple):
    """A reading of the sample that the model answers; an ONNX file has its form in itself."""

    schema: RowSchema
    asked: Asked
    form: Form | None


def _read(estimator: Any, features: Features, frame: Any | None, order: Order) -> _Read:
    # The observed values of sensitive features are dropped first: nothing after this can show them.
    document = without_personal_notes(describe(estimator, features, frame, order.given))
    schema = RowSchema(document, _MANY_ROWS)
    asked = _asked(frame, schema)
    if isinstance(estimator, OnnxModel):
        return _Read(schema, asked, None)
    if reads_files(estimator):
        raise NotServable("it takes texts for names of files, which callers would choose")
    use_one_thread(estimator)
    return _Read(schema, asked, form_of(estimator, features, schema, asked))


class _Found(NamedTuple):
    """The engine that will serve; `telling` are rows that show whether an answer depends on the rows beside it."""

    schema: RowSchema
    rows: list[Row]
    engine: Engine
    kind: Kind
    compiled: Compiled
    telling: Sequence[Row]
    sample_rows: int
    scores: ScoresReport | None
    outputs: OutputsReport | None = None


def _of_graph(model: OnnxModel, schema: RowSchema, asked: Asked) -> _Found:
    graph = Graph(model.content, schema.names)
    drawn = random_rows(schema.document["properties"], asked.rows, np.random.default_rng(SEED))
    told = told_outputs(model.outputs, graph, asked.rows, drawn)
    engine = GraphEngine(graph, told.outputs, told.classes, told.scores.names if told.scores else None)
    compiled, telling = Compiled(reason="registered as ONNX: it is the trained model"), drawn[:_ALONE_ROWS]
    rows = _sample_count(asked)
    return _Found(schema, asked.rows, engine, "matrix", compiled, telling, rows, told.scores, told.outputs)


def _of_estimator(estimator: Any, schema: RowSchema, asked: Asked, form: Form, *, is_compiled: bool) -> _Found:
    trained, sample = form.trained, asked.rows if asked.frame is not None else []
    reason = why_not(estimator, form.kind, schema.document, trained) if is_compiled else "--engine sklearn"
    probes = probes_of(estimator, schema.document["properties"], sample, trained, is_compiled=reason is None)
    telling = [*probes.random[:_ALONE_ROWS], *probes.near_ties]
    compiled = Compiled(reason=reason)
    if reason is None:
        compiled = compile_tested(estimator, form.kind, schema.document, probes, trained)
    engine: Engine = trained
    if compiled.model is not None and compiled.comparison is not None:
        engine = compiled_engine(compiled.model, schema.names, trained, compiled.comparison)
        if sample and (difference := differs(engine, schema, sample, form.expected, COMPILED_TOLERANCE)):
            engine, compiled = trained, Compiled(reason=f"compiled, it answers the sample otherwise: {difference}")
    graph = engine.graph if isinstance(engine, CompiledEngine) else None
    scores = scores_of(estimator, trained, asked.rows, probes.rows if graph else [], graph)
    # The report counts the rows of the sample on which the two were compared.
    return _Found(schema, asked.rows, engine, form.kind, compiled, telling, len(sample), scores)


def _sample_count(asked: Asked) -> int:
    return 0 if asked.frame is None else len(asked.rows)


def _asked(frame: Any | None, schema: RowSchema) -> Asked:
    """The sample's rows that the schema allows, or an example. Raises `RefusedSample` if it allows none."""
    if frame is None:
        return Asked([_example(schema)], None)
    rows = rows_of(frame)
    allowed = allowed_rows(schema, rows)
    if not allowed:
        raise RefusedSample("the schema refuses every row of the sample: look at its bounds, and at the columns' types")
    return Asked([rows[place] for place in allowed], frame.iloc[allowed].reset_index(drop=True))


def _example(schema: RowSchema) -> Row:
    example = schema.example()
    if not schema.allows(example):
        raise RefusedSchema("the schema needs `examples` for features whose pattern or bounds leave none to guess")
    return example


def _require_answers(engine: Engine, rows: Sequence[Row]) -> None:
    """Asks one row and a thousand: a graph may fill the memory with many. Raises `NotServable`."""
    for some in (rows[:1], (list(rows) * _MANY_ROWS)[:_MANY_ROWS]):
        before = _peak_bytes()
        predictions = engine.compute(some)
        json.dumps([predictions.labels, predictions.probabilities], allow_nan=False)
        if _peak_bytes() - before > MAX_COMPUTED_BYTES:
            raise NotServable(f"{len(some)} rows take more than {MAX_COMPUTED_BYTES >> 20} MiB of memory")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _is_independent(engine: Engine, rows: Sequence[Row]) -> bool:
    """Like `is_independent`, but a model that raises counts as dependent."""
    try:
        return is_independent(engine, rows)
    except Exception:  # noqa: BLE001  a model may raise anything
        return False


def _require_example(engine: Engine, schema: RowSchema) -> None:
    """Raises `RefusedModel` unless the model answers the example that callers are shown."""
    try:
        engine.compute([_example(schema)])
    except Exception as error:  # noqa: BLE001  a model may raise anything
        words = "give `examples` in the schema for features whose values cannot be guessed"
        raise RefusedModel(f"the model raises {type(error).__name__} on the example row: {words}") from None
