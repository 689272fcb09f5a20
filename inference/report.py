"""The compilation report: how a version's file was examined, and how its compiled model compared with the trained one.

It is stored with the version and sealed with it for ever. What is read is written back byte for byte, members of later
releases included. Releases before format 0003 of the schema wrote fewer members; their versions are listed, and are not
loaded until they are registered again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    # They import numpy, and commands that only list models need not wait for it.
    from inference.outputs import ClassNames
    from inference.rows.inputs import Kind

EngineName = Literal["onnx", "sklearn"]


@dataclass(frozen=True, slots=True)
class TieReport:
    """How labels come of a graph's scores, and within which margin of a tie the trained model answers.

    With `ties_alone` it answers row by row. `label_type` is the type that labels are given back.
    """

    tie_rule: str
    tie_margin: float
    label_type: str
    ties_alone: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The compiled model beside the trained one: on how many rows of each kind, and how far apart at most."""

    rows: int
    random_rows: int
    threshold_rows: int
    boundary_rows: int
    label_mismatches: int
    largest_difference: float
    largest_absolute_difference: float
    precision: str
    ties: TieReport | None = None

    @property
    def rounds_to_float32(self) -> bool:
        """Whether the graph rounds to float32 somewhere within."""
        return "float32" in self.precision


@dataclass(frozen=True, slots=True)
class ScoresReport:
    """The names of a version's scores, and their `source`: the estimator's own verb, or the `outputs` of a graph.

    With `compiled` the compiled model gives them; otherwise the trained model computes them for those who ask.
    """

    source: str
    names: Sequence[str]
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class OutputsReport:
    """The outputs of a graph that was registered as one: its label or number, its probabilities and its scores.

    Several outputs of one column each stand side by side.
    """

    label: str
    probabilities: Sequence[str] = ()
    scores: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationReport:
    """Without `comparison` the version runs as it was registered, and `reason` says why.

    `classes` are the names of its classes; `batches` says whether rows of different callers may be computed together.
    `own_code` are the modules of operators' own that it needs, each with the SHA-256 of its source.
    Without `scores` it has none. `outputs` is there for graphs alone, and not for those that an early release took.
    """

    format: str
    input: Kind
    classes: ClassNames | None
    batches: bool
    sample_rows: int
    engine: EngineName
    reason: str | None = None
    comparison: Comparison | None = None
    versions: Mapping[str, str] | None = None
    own_code: Sequence[tuple[str, str]] = ()
    compiled_sha256: str | None = None
    outputs: OutputsReport | None = None
    scores: ScoresReport | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> CompilationReport:
        """The report in a stored object. Raises `KeyError` if no release wrote it."""
        return cls(
            engine=stored["engine"],
            **{name: stored.get(name, default) for name, default in _DEFAULTS.items()},
            comparison=_comparison(stored) if stored.keys() >= {*_COUNTS, *_DIFFERENCES, "precision"} else None,
            outputs=OutputsReport(**stored["outputs"]) if "outputs" in stored else None,
            scores=ScoresReport(**stored["scores"]) if "scores" in stored else None,
            unknown={name: value for name, value in stored.items() if name not in _MEMBERS},
        )

    def to_stored(self) -> dict[str, Any]:
        """The members for JSON, in the order in which they are stored."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _ALWAYS}
        if self.reason is not None:
            found["reason"] = self.reason
        if self.comparison is not None:
            found |= _members(self.comparison)
        if self.versions is not None:
            found["versions"] = self.versions
        if self.own_code:
            found["own_code"] = [list(each) for each in self.own_code]
        found["compiled_sha256"] = self.compiled_sha256
        for name, part in (("outputs", self.outputs), ("scores", self.scores)):
            if part is not None:
                found[name] = {each.name: getattr(part, each.name) for each in fields(part)}
        return found | dict(self.unknown)


_ALWAYS = ("format", "input", "classes", "batches", "sample_rows", "engine")
#: The values of members that an early release did not write.
_DEFAULTS: Mapping[str, Any] = {
    "format": "joblib",
    "input": "matrix",
    "classes": None,
    "batches": False,
    "sample_rows": 0,
    "reason": None,
    "versions": None,
    "own_code": (),
    "compiled_sha256": None,
}
_COUNTS = ("rows", "random_rows", "threshold_rows", "boundary_rows", "label_mismatches")
_DIFFERENCES = ("largest_difference", "largest_absolute_difference")
_TIES = ("tie_rule", "tie_margin", "label_type")
_MEMBERS = frozenset(
    {*_ALWAYS, *_DEFAULTS, *_COUNTS, *_DIFFERENCES, *_TIES, "precision", "ties_alone", "outputs", "scores"}
)


def _comparison(stored: Mapping[str, Any]) -> Comparison:
    ties = (
        TieReport(**{name: stored[name] for name in (*_TIES, "ties_alone")})
        if stored.keys() >= {*_TIES, "ties_alone"}
        else None
    )
    return Comparison(**{name: stored[name] for name in (*_COUNTS, *_DIFFERENCES, "precision")}, ties=ties)


def _members(comparison: Comparison) -> dict[str, Any]:
    ties = comparison.ties
    found = {name: getattr(comparison, name) for name in (*_COUNTS, *_DIFFERENCES)}
    if ties is not None:
        found |= {name: getattr(ties, name) for name in _TIES}
    found["precision"] = comparison.precision
    return found if ties is None else found | {"ties_alone": ties.ties_alone}
