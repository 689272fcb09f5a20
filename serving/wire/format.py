"""The interface of a wire format, and predictions as formats write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from inference.loading import ServedVersion
from inference.outputs import ClassNames, Predictions
from inference.rows.inputs import Row
from inference.rows.schema import RowSchema

Item = dict[str, Any]


class WireFormat(Protocol):
    """How one kind of request writes rows and answers. It decides nothing."""

    def rows(self, schema: RowSchema, body: bytes) -> Sequence[Row]:
        """The rows of a body. Raises `BrokenJson` or `InvalidRows`."""
        ...

    def at(self, row: int) -> str:
        """The JSON Pointer to a row in the body."""
        ...

    def answer(self, request_id: str, version: ServedVersion, items: list[Item]) -> bytes:
        """The bytes of an answer."""
        ...


def items_of(predictions: Predictions, class_names: ClassNames | None) -> list[Item]:
    """One `{"prediction", "probabilities"}` for each row; without probabilities where the model has none."""
    labels, probabilities, _ = predictions
    if probabilities is None or not class_names:
        return [{"prediction": label} for label in labels]
    pairs = zip(labels, probabilities, strict=True)
    if isinstance(class_names[0], str):
        return [
            {"prediction": label, "probabilities": dict(zip(class_names, each, strict=True))} for label, each in pairs
        ]
    # Several outputs, each with classes of its own.
    return [
        {
            "prediction": label,
            "probabilities": [dict(zip(names, one, strict=True)) for names, one in zip(class_names, each, strict=True)],
        }
        for label, each in pairs
    ]


def add_scores(items: list[Item], scores: Sequence[Sequence[float]], names: Sequence[str]) -> None:
    """Adds `scores` to each item, by their names."""
    for item, each in zip(items, scores, strict=True):
        item["scores"] = dict(zip(names, each, strict=True))
