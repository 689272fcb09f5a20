"""The order to examine a model file, and its result, for rooms that examine nothing themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.files.model_files import Format
from inference.report import CompilationReport


class RefusedModel(Exception):
    """The file is not registered; the words are for the operator."""


@dataclass(frozen=True, slots=True)
class Order:
    """The examination of a file. `sample_name` tells CSV from Parquet; `given` is the operator's own schema.

    `models_path` are the folders of operators' own code.
    """

    format: Format
    sample_name: str | None = None
    target: str | None = None
    given: Mapping[str, Any] | None = None
    is_compiled: bool = True
    trusted: Sequence[str] = ()
    models_path: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """The findings: the JSON Schema of a row, the report that is kept with the version, and the compiled model."""

    row_schema: dict[str, Any]
    report: CompilationReport
    compiled: bytes | None
