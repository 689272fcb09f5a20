"""Examines a model file before it may serve: whether it opens, which rows it takes, and how it answers."""

from __future__ import annotations

import json
import resource
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from examination.compilation import Compiled, compile_tested, versions
from examination.discovery import discover, features_of
from examination.given_schema import RefusedSchema
from examination.graph_outputs import told_outputs
from examination.independence import is_independent, is_near
from examination.orders import Examined, Order, RefusedModel
from examination.probe_rows import SEED, probes_of, random_rows
from examination.samples import RefusedSample, read_sample, rows_of
from examination.scores import scores_of
from inference.engines import Engine, TrainedEngine, compiled_engine
from inference.estimators import reads_files, use_one_thread
from inference.features import UnsupportedSchema, without_personal_notes
from inference.files.model_files import RefusedFile, open_model
from inference.files.onnx_files import OnnxModel
from inference.graphs import Graph
from inference.inputs import Kind, Row, inputs_of
from inference.outputs import NotComputable, NotServable, class_names_of
from inference.registered_graphs import GraphEngine
from inference.report import CompilationReport, OutputsReport, ScoresReport
from inference.schema import RowSchema

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
            frame = None if sample is None else read_sample(sample, order.sample_name or "")
            # The observed values of sensitive features are dropped first: nothing after this can show them.
            document = without_personal_notes(discover(estimator, frame, order.target, order.given))
            schema = RowSchema(document, _MANY_ROWS)
            rows = _sample_rows(frame, document, schema)
            return _examine_opened(estimator, document, rows, schema, frame, order)
    except (RefusedFile, RefusedSample, RefusedSchema, UnsupportedSchema) as refused:
        raise RefusedModel(str(refused)) from None
    except (NotServable, NotComputable) as refused:
        words = str(refused) or "it answers with numbers that are not finite"
        raise RefusedModel(f"the model cannot be served: {words}") from None


def _examine_opened(
    estimator: Any, document: dict[str, Any], rows: list[Row], schema: RowSchema, frame: Any, order: Order
) -> Examined:
    asked = rows or [_example(schema)]
    if isinstance(estimator, OnnxModel):
        found = _of_graph(estimator, schema, asked, len(rows))
    else:
        found = _of_estimator(estimator, document, rows, asked, frame, is_compiled=order.is_compiled)
    _require_answers(found.engine, asked)
    _require_example(found.engine, schema)
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
    return Examined(document, report, found.compiled.model)


class _Found(NamedTuple):
    """The engine that will serve; `telling` are rows that show whether an answer depends on the rows beside it."""

    engine: Engine
    kind: Kind
    compiled: Compiled
    telling: Sequence[Row]
    sample_rows: int
    scores: ScoresReport | None
    outputs: OutputsReport | None = None


def _of_graph(model: OnnxModel, schema: RowSchema, asked: Sequence[Row], sample_rows: int) -> _Found:
    graph = Graph(model.content, schema.names)
    drawn = random_rows(schema.document["properties"], asked, np.random.default_rng(SEED))
    told = told_outputs(model.outputs, graph, asked, drawn)
    engine = GraphEngine(graph, told.outputs, told.classes, told.scores.names if told.scores else None)
    compiled = Compiled(reason="registered as ONNX: it is the trained model")
    return _Found(engine, "matrix", compiled, drawn[:_ALONE_ROWS], sample_rows, told.scores, told.outputs)


def _of_estimator(
    estimator: Any, document: dict[str, Any], rows: list[Row], asked: Sequence[Row], frame: Any, *, is_compiled: bool
) -> _Found:
    if not hasattr(estimator, "predict"):
        raise NotServable(f"{type(estimator).__name__} has no predict for rows that it was not fitted on")
    if reads_files(estimator):
        raise NotServable("it takes texts for names of files, which callers would choose")
    use_one_thread(estimator)
    kind, trained = _tried(estimator, document, asked, frame)
    probes = probes_of(estimator, document["properties"], rows, trained)
    telling = [*probes.random[:_ALONE_ROWS], *probes.near_ties]
    compiled = Compiled(reason="--engine sklearn")
    if is_compiled:
        compiled = compile_tested(estimator, kind, document, probes, trained)
    if compiled.model is None or compiled.comparison is None:
        return _Found(trained, kind, compiled, telling, len(rows), scores_of(estimator, trained, asked, [], None))
    engine = compiled_engine(compiled.model, list(document["properties"]), trained, compiled.comparison)
    scores = scores_of(estimator, trained, asked, probes.rows, engine.graph)
    # The report counts the rows of the sample on which the two were compared.
    return _Found(engine, kind, compiled, telling, len(probes.sample), scores)


def _sample_rows(frame: Any | None, document: Mapping[str, Any], schema: RowSchema) -> list[Row]:
    """The sample's rows that the schema allows. Raises `RefusedSample` if it allows none."""
    if frame is None:
        return []
    rows: list[Row] = [row for row in rows_of(features_of(frame, document)) if schema.allows(row)]
    if not rows:
        raise RefusedSample("the schema refuses every row of the sample")
    return rows


def _example(schema: RowSchema) -> Row:
    example = schema.example()
    if not schema.allows(example):
        raise RefusedSchema("the schema needs `examples` for features whose pattern or bounds leave none to guess")
    return example


def _tried(
    estimator: Any, document: Mapping[str, Any], rows: Sequence[Row], frame: Any | None
) -> tuple[Kind, TrainedEngine]:
    """The form of input in which the model answers rows, and the engine that gives it that. Raises `RefusedModel`.

    If there is a sample, the model must answer its rows in that form as it answers the sample itself.
    """
    some = rows[:_MANY_ROWS]
    expected = _directly(estimator, document, frame, rows)
    failure: Exception | None = None
    for kind in _kinds(document):
        try:
            inputs = inputs_of(kind, document)
            engine = TrainedEngine(estimator, inputs, class_names_of(estimator, inputs(some)))
            found = engine.compute(some)
        except Exception as error:  # noqa: BLE001  a model may raise anything
            failure = error
            continue
        if expected is None or is_near(found.labels, expected):
            return kind, engine
        failure = failure or NotServable("rows that come as JSON are answered otherwise than the sample itself")
    if isinstance(failure, NotServable | NotComputable):
        raise failure
    raise RefusedModel(f"the model cannot answer {_asked_of(frame)}: it raises {type(failure).__name__}")


def _asked_of(frame: Any | None) -> str:
    return "a row made from its schema (a sample would say more)" if frame is None else "the sample's rows"


def _kinds(document: Mapping[str, Any]) -> list[Kind]:
    types = [str(spec["type"]) for spec in document["properties"].values()]
    has_text = any("string" in each for each in types)
    kinds: list[Kind] = ["frame"] if has_text else ["matrix", "frame"]
    if any("x-dtype" in spec for spec in document["properties"].values()):
        kinds = ["frame"]
    return ["texts", *kinds] if has_text and len(types) == 1 else kinds


def _directly(estimator: Any, document: Mapping[str, Any], frame: Any | None, rows: Sequence[Row]) -> list[Any] | None:
    """The model's answers to the sample as pandas reads it; None if it gives none."""
    if frame is None or len(rows) < len(frame):
        return None
    try:
        answers = estimator.predict(features_of(frame, document).head(_MANY_ROWS))
        found: list[Any] = getattr(answers, "tolist", lambda: list(answers))()
    except Exception:  # noqa: BLE001  it may want a matrix, or bare texts
        return None
    return found if len(found) == min(len(frame), _MANY_ROWS) else None


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
