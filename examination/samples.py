"""A sample of training-like rows, from CSV or Parquet: as the model was trained on it, and as JSON writes it.

A CSV file does not say what its columns are. They are read as the model's own parts and the operator's schema say; what
neither knows is pandas' guess, and dates may have been texts or instants: each is a reading of its own.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from examination.categories import Categories, plain
from inference.inputs import Row

MAX_BYTES = 256 << 20
MAX_ROWS = 10_000
#: The words that pandas takes for a missing value in CSV.
_MISSING = ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
            "NA", "NULL", "NaN", "None", "n/a", "nan", "null")  # fmt: skip
_INSTANTS = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?"),
}
#: A whole number as Python writes it, within the integers that JSON tells apart.
_INTEGER = re.compile(r"0|-?[1-9]\d{0,14}")
#: The texts that pandas reads as whole numbers.
_READ_AS_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_USE_PARQUET = "give the sample as Parquet (frame.to_parquet), which keeps the columns' types"


class RefusedSample(Exception):
    """The sample cannot be read, or does not fit the model; the words are for the operator."""


class Hints(NamedTuple):
    """The facts by which columns are read: the parts' categories, and the schema's types, by the columns' names."""

    known: Mapping[str, Categories]
    given: Mapping[str, Mapping[str, Any]]

    def is_text(self, name: str) -> bool:
        known = self.known.get(name)
        return _is_of_type(self.given.get(name, {}), "string") or (known is not None and known.type == "string")

    def may_be_missing(self, name: str, word: str) -> bool:
        """Whether a word that pandas takes for a missing value is one in that column of texts."""
        known = self.known.get(name)
        if known is not None and known.type == "string":
            # A vectorizer takes no missing values at all.
            return bool(known.learnt) and word not in known.learnt
        return _is_of_type(self.given.get(name, {}), "null") or "type" not in self.given.get(name, {})


def _is_of_type(spec: Mapping[str, Any], word: str) -> bool:
    found = spec.get("type")
    return word in (found if isinstance(found, list) else [found])


class Sample:
    """A sample file. `columns` are the names in its head. Raises `RefusedSample`."""

    def __init__(self, content: bytes, name: str) -> None:
        if len(content) > MAX_BYTES:
            raise RefusedSample(f"the sample has more than {MAX_BYTES >> 20} MiB: give the first rows of it")
        self._content = content
        self._is_parquet = PurePath(name).suffix.lower() == ".parquet" or content.startswith(b"PAR1")
        try:
            head = pd.read_csv(io.BytesIO(content), nrows=0) if not self._is_parquet else _parquet(content)
        except Exception as error:  # noqa: BLE001  readers raise many kinds, and their words may hold rows
            raise _unreadable(error) from None
        if not head.columns.is_unique:
            raise RefusedSample("the sample has two columns of one name")
        self._head = head
        self.columns = [str(column) for column in head.columns]

    def readings(self, columns: Mapping[str, str], hints: Hints) -> Iterator[Any]:
        """Data frames of the sample's first rows, as the model may have been trained on them; the likeliest first.

        `columns` are the features' names with those of their columns in the file. Raises `RefusedSample`.
        """
        frame = self._read(columns, hints)
        if frame.empty:
            raise RefusedSample("the sample has no rows")
        frame = frame.assign(**{name: _typed(frame[name], known) for name, known in _within(hints.known, frame)})
        if not self._is_parquet:
            digests = [name for name, known in _within(hints.known, frame) if known.are_digests]
            frame = frame.assign(**{name: _of_digests(frame[name], hints.given.get(name, {})) for name in digests})
        for name, known in _within(hints.known, frame):
            _require_known(name, frame[name], known)
        yield frame
        if self._is_parquet:
            return
        dated = _with_instants(frame)
        if dated is not None:
            yield dated
        texts = [name for name in frame.columns if str(frame[name].dtype) == "str"]
        for each in (frame, dated):
            if each is not None and texts:
                yield each.astype({name: object for name in texts if str(each[name].dtype) == "str"})

    def _read(self, columns: Mapping[str, str], hints: Hints) -> Any:
        """The columns as the file has them, under the features' names."""
        if self._is_parquet:
            frame = self._head.head(MAX_ROWS)
            frame = frame.set_axis(self.columns, axis="columns")[list(columns.values())]
            return frame.set_axis(list(columns), axis="columns").reset_index(drop=True)
        texts = {own for name, own in columns.items() if hints.is_text(name)}
        try:
            frame = pd.read_csv(
                io.BytesIO(self._content),
                nrows=MAX_ROWS,
                index_col=False,
                float_precision="round_trip",
                dtype=dict.fromkeys(texts, "str"),
                keep_default_na=False,
                na_values={own: list(_MISSING) for own in columns.values() if own not in texts},
            )
        except Exception as error:  # noqa: BLE001  as above
            raise _unreadable(error) from None
        frame = frame[list(columns.values())].set_axis(list(columns), axis="columns").reset_index(drop=True)
        for name, own in columns.items():
            if own in texts:
                gaps = [word for word in _MISSING if hints.may_be_missing(name, word)]
                frame[name] = frame[name].mask(frame[name].isin(gaps))
        return frame


def _unreadable(error: Exception) -> RefusedSample:
    return RefusedSample(
        f"the sample cannot be read as CSV or Parquet: {type(error).__name__} (a CSV file is UTF-8, with a head line)"
    )


def _parquet(content: bytes) -> Any:
    """The frame in a Parquet file, with the types that it had: pandas' notes say more than the columns."""
    import pyarrow.parquet as pq  # noqa: PLC0415  for such files only

    table = pq.read_table(io.BytesIO(content)).slice(0, MAX_ROWS)
    frame = table.to_pandas()
    notes = json.loads((table.schema.metadata or {}).get(b"pandas", b'{"columns": []}'))
    for note in notes["columns"]:
        name, dtype = note["name"], str(note["numpy_type"])
        if name not in frame.columns:
            continue
        if dtype == "object" and str(frame[name].dtype) in {"str", "bool", "int64", "float64"}:
            frame[name] = frame[name].astype(object)
        if note["pandas_type"] == "categorical" and str(frame[name].dtype) != "category":
            # The file keeps categories of texts alone; those of numbers can be told if each of them occurs.
            found = sorted(frame[name].dropna().unique().tolist())
            if len(found) == (note["metadata"] or {}).get("num_categories"):
                kind = pd.CategoricalDtype(found, ordered=bool(note["metadata"]["ordered"]))
                frame[name] = frame[name].astype(kind)
    return frame


def _within(known: Mapping[str, Categories], frame: Any) -> list[tuple[str, Categories]]:
    return [(name, each) for name, each in known.items() if name in frame.columns and not each.unreadable]


def _typed(column: Any, known: Categories) -> Any:
    """The column in the type that the model's part knows it in."""
    if known.is_dtype:
        is_ordered = str(column.dtype) == "category" and column.cat.ordered
        values = [_as_known(value, known) for value in column.tolist()]
        return pd.Series(pd.Categorical(values, categories=known.learnt, ordered=is_ordered), index=column.index)
    if known.are_instants and column.dtype.kind != "M" and not all(map(_is_date, column.dropna())):
        return pd.to_datetime(column, format="ISO8601")
    if known.type == "boolean" and column.dropna().isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    return column


def _of_digests(column: Any, given: Mapping[str, Any]) -> Any:
    """Texts of a CSV file as the categories that they were: integers, or texts, unless the schema says otherwise.

    Raises `RefusedSample` where the same file may have been written of other categories.
    """
    texts = column.tolist()
    if all(map(_INTEGER.fullmatch, texts)) and not _is_of_type(given, "string"):
        return column.astype("int64")
    if {*texts} <= {"True", "False"} and _is_of_type(given, "boolean"):
        return column == "True"
    if "type" not in given and ({*texts} <= {"True", "False"} or all(map(_READ_AS_INTEGER.fullmatch, texts))):
        raise RefusedSample(
            f"the column {column.name} has categories that CatBoost knows by their texts, and a CSV file does not say"
            f" whether those were as in the file (True, 02139) or as pandas reads it (1, 2139): {_USE_PARQUET}, or the"
            " column's type in --schema"
        )
    return column


def _as_known(value: Any, known: Categories) -> Any:
    """The value in the type of the categories: a CSV file has whole numbers as floats where some are missing."""
    value = plain(value)
    if known.type == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if known.type == "boolean" and value in ("True", "False"):
        return value == "True"
    return value


def _is_date(value: Any) -> bool:
    return isinstance(value, date)


def _require_known(name: str, column: Any, known: Categories) -> None:
    """Raises `RefusedSample` if the column has none of the values that the model's part has learnt of it."""
    present = {plain(value) for value in column.dropna().tolist()}
    if known.learnt and not known.are_instants and present.isdisjoint(known.learnt) and len(column):
        raise RefusedSample(
            f"the column {name} has no value that the model has learnt of it: if it was trained on other types,"
            f" {_USE_PARQUET}"
        )


def _with_instants(frame: Any) -> Any | None:
    """The frame with its columns of ISO dates as instants; None if it has none."""
    found = frame.copy()
    for name in frame.columns:
        if str(frame[name].dtype) == "str" and format_of_texts(frame[name]):
            found[name] = pd.to_datetime(frame[name], format="ISO8601", utc=_has_offset(frame[name]))
    return None if found.dtypes.equals(frame.dtypes) else found


def format_of_texts(column: Any) -> str | None:
    """The `format` of a column of texts, if all of them are instants of one form."""
    texts = column.dropna().tolist()
    return next((word for word, form in _INSTANTS.items() if texts and all(map(form.fullmatch, texts))), None)


def _has_offset(column: Any) -> bool:
    return bool(column.dropna().str.contains(r"[T ].*(?:Z|[+-]\d\d:\d\d)$", regex=True).all())


def sample_bytes(columns: Sequence[str], values: Any) -> bytes:
    """A sample as CSV, from a matrix of shape (rows, columns)."""
    text: str = pd.DataFrame(np.asarray(values), columns=list(columns)).to_csv(index=False)
    return text.encode()


def rows_of(frame: Any) -> list[Row]:
    """The frame's rows as JSON writes them: missing values are None, numbers are Python's own, instants ISO 8601."""
    columns = {name: [_in_json(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _in_json(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return value
    return value if isinstance(value, str | int | bool | float) else None
