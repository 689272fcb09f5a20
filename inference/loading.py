"""Makes a registered version ready to answer: verifies it, opens it, asks it a row, and measures it."""

from __future__ import annotations

import hmac
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from inference.costs import inline_rows
from inference.engines import Engine, TrainedEngine, compiled_engine
from inference.estimators import use_one_thread
from inference.files.artifacts import AlteredArtifact, ArtifactStore
from inference.files.code_words import AlteredCode
from inference.files.model_files import RefusedFile, open_model
from inference.files.onnx_files import OnnxModel
from inference.files.own_code import OwnCode, own_code
from inference.gathering import Lane
from inference.graphs import Graph
from inference.listings import ModelListing, VersionListing
from inference.outputs import ClassNames
from inference.pool import Pool
from inference.registered_graphs import graph_engine
from inference.rows.inputs import inputs_of
from inference.rows.schema import RowSchema


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version that can answer. `size_bytes` is the size of its files."""

    model_id: str
    model: str
    listing: VersionListing
    schema: RowSchema
    engine: Engine
    lane: Lane
    size_bytes: int

    @property
    def class_names(self) -> ClassNames | None:
        return self.engine.class_names

    @property
    def score_names(self) -> Sequence[str] | None:
        return self.engine.score_names


def reason_of(error: BaseException) -> str:
    """Why a version could not be loaded: in our words, or by the error's type, since a model's words may hold rows."""
    return str(error) if isinstance(error, AlteredArtifact | AlteredCode | RefusedFile) else type(error).__name__


def _quieten() -> None:
    """Silences libraries' warnings at each call, such as for a matrix where the model was trained on a frame.

    Registration has tested such models, and warnings may hold rows.
    """
    for library in ("sklearn", "pandas", "numpy", "xgboost", "lightgbm", "catboost"):
        warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads versions. `mac` is the keyed digest of a version's facts."""

    store: ArtifactStore
    mac: Callable[[bytes], str]
    pool: Pool
    max_rows: int
    patience_seconds: float
    trusted: Sequence[str] = ()
    gathers: bool = True
    code: OwnCode = field(default_factory=own_code)

    def load(self, model: ModelListing, version: VersionListing) -> ServedVersion:
        """The version, ready. Raises `AlteredArtifact`, `AlteredCode`, `RefusedFile`, or what the model raises at
        its first row.
        """
        # Nothing is opened before the MAC shows that everything about it is as it was registered.
        if not hmac.compare_digest(self.mac(version.facts()), version.mac):
            raise AlteredArtifact(f"version {version.name} is not as it was registered under this SECRET")
        self.code.require(version.report.own_code)
        content = self.store.get(version.artifact_sha256)
        compiled = self.store.get(version.compiled_sha256) if version.compiled_sha256 else None
        schema = RowSchema(version.row_schema, self.max_rows)
        _quieten()
        engine = _engine(version, content, compiled, schema, self.trusted)
        self.pool.libraries_changed()
        engine.compute([schema.example()])
        lane = Lane(
            f"model {model.name} version {version.name}",
            engine,
            self.pool,
            gathers=self.gathers and version.report.batches,
            max_rows=self.max_rows,
            patience_seconds=self.patience_seconds,
            inline_rows=inline_rows(engine, schema),
        )
        return ServedVersion(model.id, model.name, version, schema, engine, lane, len(content) + len(compiled or b""))


def _engine(
    version: VersionListing, content: bytes, compiled: bytes | None, schema: RowSchema, trusted: Sequence[str]
) -> Engine:
    report = version.report
    estimator = open_model(content, version.format, trusted)
    if isinstance(estimator, OnnxModel):
        return graph_engine(Graph(estimator.content, schema.names), report)
    use_one_thread(estimator)
    trained = TrainedEngine(estimator, inputs_of(report.input, version.row_schema), report.classes, report.scores)
    if compiled is None or report.comparison is None:
        return trained
    return compiled_engine(compiled, schema.names, trained, report.comparison, report.scores)
