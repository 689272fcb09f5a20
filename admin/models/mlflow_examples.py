"""The input example in a folder of MLflow's, as a sample of rows.

MLflow writes tables by their columns and rows (`split`), as rows with or without names (`records`, `ndarray`), or as
columns by their names. The sample is Parquet, which keeps the types that the signature gives to its columns.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from admin.facts import InvalidValue
from admin.models.mlflow_signatures import Signature

MAX_BYTES = 64 << 20
_GIVE = "give rows with --sample"
#: Arrow's names of MLflow's types.
_ARROW_TYPES: Mapping[str, str] = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "datetime": "timestamp[ns]",
}
#: A column of these that may have gaps was one of pandas' nullable types: numpy's have none.
_NULLABLE: Mapping[str, str] = {"boolean": "boolean", "integer": "Int32", "long": "Int64"}
Columns = dict[str, list[Any]]


def example_of(
    folder: Path, info: Any, signature: Signature | None, inside: Callable[[Path, Any, str], Path]
) -> bytes | None:
    """The folder's input example as Parquet; None if it has none. Raises `InvalidValue`."""
    if not isinstance(info, dict) or "artifact_path" not in info:
        return None
    path = inside(folder, info["artifact_path"], "path to the input example")
    if not path.is_file():
        raise InvalidValue(f"the folder does not have its input example {path.name[:80]}: fetch it whole, or {_GIVE}")
    if path.stat().st_size > MAX_BYTES:
        raise InvalidValue(f"the input example has more than {MAX_BYTES >> 20} MiB: {_GIVE}")
    try:
        # Python writes NaN where JSON has no word, and so do early releases.
        columns = columns_of(json.loads(path.read_bytes()))
    except (ValueError, RecursionError):
        columns = None
    if not columns or not all(len(each) == len(next(iter(columns.values()))) for each in columns.values()):
        raise InvalidValue(f"the input example is no table of rows: {_GIVE}")
    return _parquet(_named(columns, signature), signature)


def _named(columns: Columns, signature: Signature | None) -> Columns:
    """The columns by the signature's names, where the example has none: by their places, as MLflow gives them."""
    names = list(signature.named) if signature else []
    if len(names) != len(columns) or list(columns) != [f"x{number}" for number in range(len(columns))]:
        return columns
    return dict(zip(names, columns.values(), strict=True))


def columns_of(document: Any) -> Columns | None:
    """The example's columns, of whichever form it has; None if it has another."""
    if isinstance(document, dict):
        return _of_object(document)
    if not isinstance(document, list) or not document:
        return None
    if all(isinstance(row, dict) for row in document):
        names = dict.fromkeys(name for row in document for name in row)
        return {name: [row.get(name) for row in document] for name in names}
    if isinstance(document[0], list):
        return _of_rows(document, [f"x{number}" for number in range(len(document[0]))])
    # One column without a name.
    return {"x0": document}


def _of_object(document: dict[str, Any]) -> Columns | None:
    for word in ("dataframe_split", "dataframe_records", "inputs", "instances"):
        # Parameters of a call are no part of a row.
        if set(document) - {"params"} == {word}:
            return columns_of(document[word])
    if {"columns", "data"} <= document.keys() <= {"columns", "data", "index"}:
        return _of_rows(document["data"], [str(each) for each in document["columns"]])
    if {"data"} <= document.keys() <= {"data", "index"} and document["data"] and isinstance(document["data"][0], list):
        # A frame whose columns have no names but their numbers.
        return columns_of(document["data"])
    if all(isinstance(each, list) for each in document.values()):
        return document
    return {name: [value] for name, value in document.items()}


def _of_rows(rows: Any, names: list[str]) -> Columns | None:
    if not isinstance(rows, list) or len(set(names)) < len(names):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def _parquet(columns: Columns, signature: Signature | None) -> bytes:
    import pyarrow as pa  # noqa: PLC0415  other commands need not wait for it
    from pyarrow import parquet  # noqa: PLC0415  the same

    signed = signature.named if signature else {}
    arrays = {}
    for name, values in columns.items():
        kind = signed[name].type if name in signed else None
        try:
            given = [_instant(value) for value in values] if kind == "datetime" else values
            arrays[name] = pa.array(given, type=pa.type_for_alias(_ARROW_TYPES[kind]) if kind else None)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            fits = f"as the signature's {kind}" if kind else "as one type"
            raise InvalidValue(f"the input example's column {name[:80]} cannot be read {fits}: {_GIVE}") from None
    file = io.BytesIO()
    nullable = {
        name: _NULLABLE[column.type]
        for name, column in signed.items()
        if column.is_optional and column.type in _NULLABLE and name in arrays
    }
    parquet.write_table(pa.table(arrays).replace_schema_metadata({"pandas": _pandas_notes(nullable)}), file)
    return file.getvalue()


def _pandas_notes(dtypes: Mapping[str, str]) -> str:
    """The note in a Parquet file by which pandas reads these columns as types of its own."""
    columns = [
        {"name": name, "field_name": name, "pandas_type": dtype.lower(), "numpy_type": dtype, "metadata": None}
        for name, dtype in dtypes.items()
    ]
    return json.dumps({"index_columns": [], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"})


def _instant(value: Any) -> datetime | None:
    """An instant as MLflow writes it, in ISO form; without a zone, since the column has none."""
    if value is None:
        return None
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
