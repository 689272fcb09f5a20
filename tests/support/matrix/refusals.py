"""The refusals that a cell may meet: their words, and the cells that are refused so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.support.matrix.frames import DATES, OBJECT_NUMBERS
from tests.support.matrix.pipelines import OWN

Cell = Mapping[str, str]


class Refusal(NamedTuple):
    """Words as a pattern, why such cells are refused, and which they are."""

    words: str
    why: str
    is_due: Callable[[Cell], bool]


REFUSALS = [
    Refusal(
        r"the file asks for types that ADYTON_SKOPS_TRUSTED does not name: \S+",
        "skops distrusts trees, functions and foreign types until the operator trusts them",
        lambda cell: cell["file"] == "skops",
    ),
    Refusal(
        r"the graph holds the operator Scan, which is not served",
        "a graph of nearest neighbours loops, and loops are not served",
        lambda cell: cell["file"] == "onnx" and "nearest" in cell["kind"],
    ),
    Refusal(
        r"the model does not say what it takes: register it with a sample or a schema",
        "dictionaries and texts have no columns until a sample names them",
        lambda cell: cell["sample"] == "none" and cell["form"] in {"dictionaries", "texts"},
    ),
    Refusal(
        r"cannot answer a row made from its schema \(a sample would say more\): its \w+ raises \w+\. .* give the sample as",
        "a model does not say that its columns are instants or objects: only a sample does",
        lambda cell: cell["sample"] == "none" and (is_own(cell) or cell["column"] in DATES | OBJECT_NUMBERS),
    ),
    Refusal(
        r"the column .+ has whole numbers with leading zeros: .* give the sample as Parquet",
        "a CSV file does not say whether 02139 is a text, and no part of the model knows",
        lambda cell: cell["sample"] == "csv" and (is_own(cell) or cell["column"] in {"digits", "categories of digits"}),
    ),
    Refusal(
        r"the CSV sample does not say of which type the column .+ was, and the model answers differently: .* as Parquet",
        "a function of the user's own answers texts as well as dates, numbers as well as categories",
        lambda cell: cell["sample"] == "csv" and is_own(cell),
    ),
    Refusal(
        r"the model's own code \(\w+\) sees the column .+, and nothing says of which type that is: register .* a sample",
        "nothing but a sample says what a function of the user's own was trained on",
        lambda cell: cell["sample"] == "none" and is_own(cell),
    ),
    Refusal(
        r"cannot answer the sample's rows: its \w+ raises \w+\. .* give the sample as Parquet",
        "a CSV file does not say the dtypes that a function of the user's own wants",
        lambda cell: cell["sample"] == "csv" and is_own(cell),
    ),
]  # fmt: skip


def is_expected(words: str, cell: Cell) -> bool:
    """Whether a cell may be refused in these words."""
    return any(re.search(refusal.words, words) and refusal.is_due(cell) for refusal in REFUSALS)


def is_own(cell: Cell) -> bool:
    return cell["handling"] in OWN
