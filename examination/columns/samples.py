"""A sample of training-like rows, from CSV or Parquet: as the model was trained on it, and as JSON writes it.

A CSV file does not say what its columns are. They are read as the model's own parts and the operator's schema say; what
neither knows is pandas' guess, and dates may have been texts or instants: each is a reading of its own.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from examination.columns.categories import Categories
from examination.columns.large_integers import with_exact_integers
from examination.columns.sample_columns import (
    USE_PARQUET,
    RefusedSample,
    as_given,
    of_digests,
    require_known,
    typed,
    with_instants,
)

MAX_BYTES = 256 << 20
MAX_ROWS = 10_000
#: The words that pandas takes for a missing value in CSV.
_MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
#: Whole numbers of so few values may have been categories.
_FEW = 50


class Hints(NamedTuple):
    """The facts by which columns are read: the parts' categories, and the schema's types, by the columns' names.

    `own_code` are columns that code of the model's maker sees as they come, and of which nobody says the type.
    `floats` are groups of columns of which one at least is of floats.
    """

    known: Mapping[str, Categories]
    given: Mapping[str, Mapping[str, Any]]
    own_code: AbstractSet[str] = frozenset()
    floats: Sequence[Sequence[str]] = ()

    def is_text(self, name: str) -> bool:
        return _is_of_type(self.given.get(name, {}), "string") or self.is_known_text(name)

    def is_known_text(self, name: str) -> bool:
        """Whether a part of the model has learnt that the column is text."""
        known = self.known.get(name)
        return known is not None and known.type == "string"

    def says_type(self, name: str) -> bool:
        return name in self.known or "type" in self.given.get(name, {})

    def with_dtype(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The columns of which the operator's schema says the type of the training frame."""
        return [(name, spec) for name, spec in self.given.items() if {"type", "x-dtype"} <= spec.keys()]

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


class Reading(NamedTuple):
    """A frame as the model may have been trained on it. One that is `only_compared` says too little to be served."""

    frame: Any
    only_compared: bool = False


class Sample:
    """A sample file. `columns` are the names in its head. Raises `RefusedSample`."""

    def __init__(self, content: bytes, name: str) -> None:
        if len(content) > MAX_BYTES:
            raise RefusedSample(f"the sample has more than {MAX_BYTES >> 20} MiB: give the first rows of it")
        self._content = content
        #: Columns of categories of which a Parquet file does not keep the order.
        self._unordered: AbstractSet[str] = frozenset()
        self._is_parquet = PurePath(name).suffix.lower() == ".parquet" or content.startswith(b"PAR1")
        try:
            if self._is_parquet:
                head, self._unordered = _parquet(content)
            else:
                head = pd.read_csv(io.BytesIO(content), nrows=1)
        except Exception as error:  # noqa: BLE001  readers raise many kinds, and their words may hold rows
            raise _unreadable(error) from None
        if head.empty:
            raise RefusedSample("the sample has no rows")
        if not head.columns.is_unique:
            raise RefusedSample("the sample has two columns of one name")
        self._head = head
        self.columns = [str(column) for column in head.columns]

    def readings(self, columns: Mapping[str, str], hints: Hints) -> Iterator[Reading]:
        """The sample's first rows, as the model may have been trained on them; the likeliest reading first.

        `columns` are the features' names with those of their columns in the file. Raises `RefusedSample`.
        """
        frame = self._read(columns, hints)
        frame = frame.assign(**{name: typed(frame[name], known) for name, known in _within(hints.known, frame)})
        if not self._is_parquet:
            digests = [name for name, known in _within(hints.known, frame) if known.are_digests]
            frame = frame.assign(**{name: of_digests(frame[name], hints.given.get(name, {})) for name in digests})
        for name, known in _within(hints.known, frame):
            require_known(name, frame[name], known)
        if not self._is_parquet:
            frame = frame.assign(**{name: as_given(name, frame[name], spec) for name, spec in hints.with_dtype()})
            whole = [group for group in hints.floats if all(frame[name].dtype.kind in "iu" for name in group)]
            frame = frame.astype({name: "float64" for group in whole for name in group})
        yield Reading(frame)
        if self._is_parquet:
            yield from self._other_orders(frame, columns, hints)
            return
        dated = with_instants(frame, [name for name in frame.columns if not hints.is_known_text(name)])
        if dated is not None:
            yield Reading(dated)
        texts = [name for name in frame.columns if str(frame[name].dtype) == "str"]
        for each in (frame, dated):
            if each is not None and texts:
                yield Reading(each.astype({name: object for name in texts if str(each[name].dtype) == "str"}))
        if hints.own_code:
            yield from self._guesses(frame, columns, hints.own_code)

    def _other_orders(self, frame: Any, columns: Mapping[str, str], hints: Hints) -> Iterator[Reading]:
        """A reading for each column of categories whose order nobody knows, in another order."""
        for name, own in columns.items():
            if own in self._unordered and not (name in hints.known and hints.known[name].is_dtype):
                backwards = frame[name].cat.reorder_categories(frame[name].cat.categories[::-1])
                yield Reading(frame.assign(**{name: backwards}), only_compared=True)

    def _guesses(self, frame: Any, columns: Mapping[str, str], own_code: AbstractSet[str]) -> Iterator[Reading]:
        """Readings that a CSV file cannot exclude where the model's own code sees the column."""
        texts = [name for name in own_code if str(frame[name].dtype) == "str"]
        gaps = [name for name in texts if frame[name].hasnans]
        if gaps:
            raw = self._read_csv([columns[name] for name in gaps], {columns[name] for name in gaps})
            yield Reading(frame.assign(**{name: raw[columns[name]] for name in gaps}), only_compared=True)
        whole = [name for name in own_code if frame[name].dtype.kind == "i" and frame[name].nunique() <= _FEW]
        for some in (texts, whole):
            if some:
                yield Reading(frame.astype(dict.fromkeys(some, "category")), only_compared=True)

    def _read(self, columns: Mapping[str, str], hints: Hints) -> Any:
        """The columns as the file has them, under the features' names."""
        if self._is_parquet:
            frame = self._head.head(MAX_ROWS)
            frame = frame.set_axis(self.columns, axis="columns")[list(columns.values())]
            return frame.set_axis(list(columns), axis="columns").reset_index(drop=True)
        texts = {own for name, own in columns.items() if hints.is_text(name)}
        self._refuse_zeros({name: own for name, own in columns.items() if not hints.says_type(name)})
        frame = with_exact_integers(self._read_csv(list(columns.values()), texts), self._content)
        frame = frame[list(columns.values())].set_axis(list(columns), axis="columns").reset_index(drop=True)
        for name, own in columns.items():
            if own in texts:
                gaps = [word for word in _MISSING if hints.may_be_missing(name, word)]
                frame[name] = frame[name].mask(frame[name].isin(gaps))
        return frame

    def _read_csv(self, columns: Sequence[str], texts: AbstractSet[str]) -> Any:
        """The columns of a CSV file, of which some are texts whatever they look like."""
        try:
            return pd.read_csv(
                io.BytesIO(self._content),
                nrows=MAX_ROWS,
                index_col=False,
                usecols=list(columns),
                low_memory=False,
                dtype=dict.fromkeys(texts, "str"),
                keep_default_na=False,
                na_values={own: list(_MISSING) for own in columns if own not in texts},
            )
        except Exception as error:  # noqa: BLE001  as above
            raise _unreadable(error) from None

    def _refuse_zeros(self, columns: Mapping[str, str]) -> None:
        """Raises `RefusedSample` for whole numbers with leading zeros: no frame of numbers would have written them."""
        raw = self._read_csv(list(columns.values()), set(columns.values())) if columns else pd.DataFrame()
        for name, own in columns.items():
            if raw[own].str.fullmatch(r"[+-]?0\d+").any():
                raise RefusedSample(
                    f"the column {name} has whole numbers with leading zeros: say in a schema whether it is a string or"
                    f" an integer, or {USE_PARQUET}"
                )


def _unreadable(error: Exception) -> RefusedSample:
    return RefusedSample(
        f"the sample cannot be read as CSV or Parquet: {type(error).__name__} (a CSV file is UTF-8, with a head line)"
    )


def _parquet(content: bytes) -> tuple[Any, AbstractSet[str]]:
    """The frame in a Parquet file, with the types that it had: pandas' notes say more than the columns.

    The names are those of columns whose categories had an order that the file does not keep.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415  for such files only

    table = pq.read_table(io.BytesIO(content)).slice(0, MAX_ROWS)
    frame = table.to_pandas()
    notes = json.loads((table.schema.metadata or {}).get(b"pandas", b'{"columns": []}'))
    unordered = set()
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
                unordered.add(str(name))
    return frame, unordered


def _within(known: Mapping[str, Categories], frame: Any) -> list[tuple[str, Categories]]:
    return [(name, each) for name, each in known.items() if name in frame.columns and not each.unreadable]


def sample_bytes(columns: Sequence[str], values: Any) -> bytes:
    """A sample as CSV, from a matrix of shape (rows, columns)."""
    text: str = pd.DataFrame(np.asarray(values), columns=list(columns)).to_csv(index=False)
    return text.encode()
