"""Predictions as JSON, by columns: one template for all rows, and the values of each column encoded in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, product
from typing import Any, NamedTuple

import orjson

from inference.outputs import ClassNames, Predictions

_UNCHANGED: Mapping[str, str] = {}
_PLAIN = frozenset({int, float, bool})


class _Shape(NamedTuple):
    """An item with a `%b` for each value, and the names in it: of the classes of each output, then of scores."""

    template: bytes
    names: tuple[str, ...]


class ItemWriter:
    """Writes `[{"prediction", "probabilities", "scores"}, ...]` for one version; members that it has not are left out.

    Names of classes, within one output, and names of scores are distinct.
    """

    def __init__(self, class_names: ClassNames | None, score_names: Sequence[str] | None) -> None:
        self._class_names = class_names or ()
        self._score_names = score_names or ()
        self._has_outputs = bool(class_names) and not isinstance(self._class_names[0], str)
        self._shapes = {
            (has_probabilities, has_scores): _Shape(
                self._template(has_probabilities, has_scores, _UNCHANGED), self._names(has_probabilities, has_scores)
            )
            for has_probabilities, has_scores in product((False, True), repeat=2)
        }

    def names(self, predictions: Predictions) -> tuple[str, ...]:
        """Every name that `write` writes for these predictions."""
        return self._shapes[self._members(predictions)].names

    def write(self, predictions: Predictions, changed: Mapping[str, str] = _UNCHANGED) -> bytes:
        """The predictions as a JSON list; `changed` holds other texts for some of the labels and names."""
        labels, probabilities, scores = predictions
        if not labels:
            return b"[]"
        if len(labels) == 1 and not changed:
            # Half as dear as by columns, and the usual case.
            return orjson.dumps([self._item(*predictions)])
        has_probabilities, has_scores = members = self._members(predictions)
        template = self._template(*members, changed) if changed else self._shapes[members].template
        columns = [_encoded(labels, changed)]
        if has_probabilities:
            outputs: Any = chain.from_iterable(probabilities or ()) if self._has_outputs else probabilities
            columns += _columns(outputs, len(labels))
        if has_scores:
            columns += _columns(scores or (), len(labels))
        values = tuple(chain.from_iterable(zip(*columns, strict=True)))
        return b"[" + b",".join([template] * len(labels)) % values + b"]"

    def _item(self, labels: Sequence[Any], probabilities: Any, scores: Any) -> dict[str, Any]:
        """The item of a single row."""
        item = {"prediction": labels[0]}
        names: Any = self._class_names
        if probabilities is not None and names:
            (row,) = probabilities
            item["probabilities"] = (
                [dict(zip(own, each, strict=True)) for own, each in zip(names, row, strict=True)]
                if self._has_outputs
                else dict(zip(names, row, strict=True))
            )
        if scores is not None:
            item["scores"] = dict(zip(self._score_names, scores[0], strict=True))
        return item

    def _members(self, predictions: Predictions) -> tuple[bool, bool]:
        return predictions.probabilities is not None and bool(self._class_names), predictions.scores is not None

    def _names(self, has_probabilities: bool, has_scores: bool) -> tuple[str, ...]:
        classes: Iterable[Any] = self._class_names if has_probabilities else ()
        return (
            *(chain.from_iterable(classes) if self._has_outputs else classes),
            *(self._score_names if has_scores else ()),
        )

    def _template(self, has_probabilities: bool, has_scores: bool, changed: Mapping[str, str]) -> bytes:
        item = b'{"prediction":%b'
        if has_probabilities:
            outputs: Sequence[Any] = self._class_names if self._has_outputs else [self._class_names]
            objects = b",".join(_object(names, changed) for names in outputs)
            item += b',"probabilities":' + (b"[" + objects + b"]" if self._has_outputs else objects)
        if has_scores:
            item += b',"scores":' + _object(self._score_names, changed)
        return item + b"}"


def _object(names: Iterable[str], changed: Mapping[str, str]) -> bytes:
    members = [orjson.dumps(changed.get(name, name)).replace(b"%", b"%%") + b":%b" for name in names]
    return b"{" + b",".join(members) + b"}"


def _encoded(labels: Sequence[Any], changed: Mapping[str, str]) -> list[bytes]:
    """Each label as JSON: a text, a number, a truth value, or a list of them."""
    kinds = set(map(type, labels))
    if kinds == {str}:
        texts = {label: orjson.dumps(changed.get(label, label)) for label in set(labels)}
        return [texts[label] for label in labels]
    if kinds <= _PLAIN:
        return orjson.dumps(labels)[1:-1].split(b",")
    return [orjson.dumps(_renamed(label, changed)) for label in labels]


def _renamed(label: Any, changed: Mapping[str, str]) -> Any:
    if isinstance(label, list):
        return [_renamed(each, changed) for each in label]
    return changed.get(label, label) if isinstance(label, str) else label


def _columns(rows: Iterable[Sequence[float]], count: int) -> list[list[bytes]]:
    """The columns of so many rows of numbers, each number as JSON."""
    values = orjson.dumps(list(chain.from_iterable(rows)))[1:-1].split(b",")
    width = len(values) // count
    return [values[column::width] for column in range(width)]
