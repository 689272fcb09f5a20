"""Tells a registered graph's probabilities from other numbers, by the operators that make them and by their values.

Converters and people put what they like behind a label: distances, a detector's score, a standard deviation, one output
for each class. Numbers are called probabilities only if they are a distribution over the classes for every row tried,
and the label is chosen by them: the graph says so, or the label is always the class of the greatest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from examination.scores import MAX_SCORES, is_alone_as_together, names_by_values, unique
from inference.files.onnx_outputs import GraphOutputs
from inference.graphs import Graph
from inference.outputs import ClassNames, NotComputable, name_of
from inference.registered_graphs import labels_of, side_by_side
from inference.report import OutputsReport, ScoresReport
from inference.rows.inputs import Row

#: A share may be so far outside [0, 1] and still be one that was rounded in float32; and so may a row's sum.
ROUNDING, ROUNDING_OF_SUM = 1e-5, 1e-4
#: Rows whose two greatest shares are nearer to each other say nothing of the label.
_CLEAR = 1e-5
#: A sum of float32 may differ by so much with the number of rows in a call; graphs that look at others differ by more.
_ALONE_TOLERANCE = 1e-4


class Told(NamedTuple):
    """The outputs that serve, with the names of the classes and of the scores."""

    outputs: OutputsReport
    classes: ClassNames | None
    scores: ScoresReport | None


def told_outputs(found: GraphOutputs, graph: Graph, asked: Sequence[Row], drawn: Sequence[Row]) -> Told:
    """The meaning of a graph's outputs, by its answers to `asked` and, if it can answer them, to `drawn`.

    Raises what the graph raises at `asked`.
    """
    rows = _answerable(graph, found.label, asked, drawn)
    rows, numbers = _numbers(graph, found.numbers, rows, len(asked))
    labels = labels_of(graph.run(rows, [found.label])[0], len(rows))
    blocks, several = _blocks(found, numbers, len(rows))
    for name in several:
        of_several = _classes_of_several(numbers[name], labels)
        if of_several is not None:
            return Told(OutputsReport(found.label, (name,)), of_several, None)
    classes: list[str] | None = None
    names: tuple[str, ...] = ()
    for block in blocks:
        columns = side_by_side([numbers[name] for name in block], len(rows))
        classes = _class_names(found, block, columns, labels)
        if classes is not None:
            names = tuple(block)
            break
    left = [each for block in blocks if (each := [name for name in block if name not in names])]
    if not left:
        return Told(OutputsReport(found.label, names), classes, None)
    columns = side_by_side([numbers[name] for name in left[0]], len(rows))
    if columns.shape[1] > MAX_SCORES or not is_alone_as_together(
        partial(_scores, graph, left[0]), rows, _ALONE_TOLERANCE
    ):
        return Told(OutputsReport(found.label, names), classes, None)
    score_names = _score_names(found, left[0], columns, labels)
    outputs = OutputsReport(found.label, names, tuple(left[0]))
    return Told(outputs, classes, ScoresReport("outputs", score_names))


def _scores(graph: Graph, names: Sequence[str], rows: Sequence[Row]) -> NDArray[Any]:
    return side_by_side(graph.run(rows, names), len(rows))


def _answerable(graph: Graph, label: str, asked: Sequence[Row], drawn: Sequence[Row]) -> list[Row]:
    """All rows that were asked, and those of the drawn ones that the graph has a label for."""
    graph.run(asked, [label])
    try:
        graph.run(drawn, [label])
    except NotComputable as beyond:
        return [*asked, *(row for index, row in enumerate(drawn) if index not in set(beyond.rows))]
    except Exception:  # noqa: BLE001  ONNX Runtime raises many kinds
        return list(asked)
    return [*asked, *drawn]


def _numbers(
    graph: Graph, names: Sequence[str], rows: list[Row], asked: int
) -> tuple[list[Row], dict[str, NDArray[Any]]]:
    """The rows for which outputs are numbers, and those outputs. The first rows, which were `asked`, are among them."""
    kept: list[str] = []
    for name in names:
        try:
            graph.run(rows, [name])
        except NotComputable as beyond:
            if min(beyond.rows) < asked:
                continue
            left_out = set(beyond.rows)
            rows = [row for index, row in enumerate(rows) if index not in left_out]
        except Exception:  # noqa: BLE001, S112  an output that has no place in an answer is not served
            continue
        kept.append(name)
    return rows, dict(zip(kept, graph.run(rows, kept), strict=True)) if kept else {}


def _blocks(found: GraphOutputs, numbers: dict[str, NDArray[Any]], rows: int) -> tuple[list[list[str]], list[str]]:
    """Outputs that belong together: each that is wide, and those of one column; and the outputs of several labels."""
    wide = [[name] for name, each in numbers.items() if each.ndim == 2 and len(each) == rows and each.shape[1] > 1]
    narrow = [name for name, each in numbers.items() if each.shape in ((rows,), (rows, 1))]
    several = [name for name, each in numbers.items() if each.ndim == 3 and each.shape[1] == rows]
    choosing = [name for name in narrow if name in found.choosing]
    others = [name for name in narrow if name not in found.choosing]
    return [each for each in (*wide, choosing, others) if each], several


def _class_names(
    found: GraphOutputs, block: Sequence[str], columns: NDArray[Any], labels: NDArray[Any]
) -> list[str] | None:
    """The names of the classes that these are the probabilities of; None if they are no probabilities."""
    if labels.ndim != 1 or not _is_distribution(columns):
        return None
    if found.classes is not None and len(found.classes) == columns.shape[1]:
        classes: Sequence[Any] = _by_names(found.classes, block) or found.classes
    else:
        classes = _learnt(columns, labels) or (block if len(block) > 1 else range(columns.shape[1]))
    typed = _typed(classes, labels)
    if not found.choosing.issuperset(block) and not _is_greatest(columns, typed, labels):
        return None
    return unique([name_of(each) for each in typed])


def _classes_of_several(shares: NDArray[Any], labels: NDArray[Any]) -> list[list[str]] | None:
    """The names of the classes of several labels, whose probabilities have shape (labels, rows, classes)."""
    if labels.ndim != 2 or len(shares) != labels.shape[1] or not _is_distribution(shares):
        return None
    learnt = [_learnt(each, labels[:, place]) for place, each in enumerate(shares)]
    return None if any(each is None for each in learnt) else [[name_of(one) for one in each or ()] for each in learnt]


def _is_distribution(shares: NDArray[Any]) -> bool:
    within = (shares >= -ROUNDING).all() and (shares <= 1 + ROUNDING).all()
    return bool(within and shares.shape[-1] > 1 and (np.abs(shares.sum(axis=-1) - 1) <= ROUNDING_OF_SUM).all())


def _said(shares: NDArray[Any], labels: NDArray[Any]) -> set[tuple[int, Any]]:
    """The columns of the greatest shares with the labels that were said then, where the greatest is clear."""
    two = np.partition(shares, -2, axis=1)
    clear = two[:, -1] - two[:, -2] > _CLEAR
    return set(zip(shares.argmax(axis=1)[clear].tolist(), labels[clear].tolist(), strict=True))


def _is_greatest(shares: NDArray[Any], classes: Sequence[Any], labels: NDArray[Any]) -> bool:
    """Whether the label is always the class of the greatest share, and not always the same."""
    said = _said(shares, labels)
    return len({label for _, label in said}) > 1 and all(classes[column] == label for column, label in said)


def _learnt(shares: NDArray[Any], labels: NDArray[Any]) -> list[Any] | None:
    """The class of each column, if each was the greatest once and had one label then, and no other column had it."""
    said = _said(shares, labels)
    classes = dict(said)
    is_told = len(said) == len(classes) == len(set(classes.values())) == shares.shape[1]
    return [classes[column] for column in range(shares.shape[1])] if is_told else None


def _by_names(classes: Sequence[Any], outputs: Sequence[str]) -> list[Any] | None:
    """The class of each output, by its name: `setosa`, or as a converter writes it, `ssetosa` and for a number `i0`."""
    meant = {
        f"{prefix}{name_of(each)}": each for each in classes for prefix in ("", "s" if isinstance(each, str) else "i")
    }
    found = [meant[name] for name in outputs if name in meant]
    return found if len(set(found)) == len(outputs) == len(classes) else None


def _typed(classes: Sequence[Any], labels: NDArray[Any]) -> list[Any]:
    """The classes in the type of the labels: a graph may turn whole numbers into truth values or floats."""
    kind = {"b": bool, "f": float}.get(labels.dtype.kind)
    return [each if kind is None or isinstance(each, str) else kind(each) for each in classes]


def _score_names(found: GraphOutputs, block: Sequence[str], columns: NDArray[Any], labels: NDArray[Any]) -> list[str]:
    if len(block) > 1:
        return unique([name_of(each) for each in _by_names(found.classes or (), block) or block])
    classes = None if found.classes is None else _typed(found.classes, labels)
    return names_by_values(columns, labels, classes, alone=block[0])
