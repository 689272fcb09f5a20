"""How a body becomes rows, and predictions an answer. Another wire format is another pair of functions here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from inference.inputs import Row
from inference.loading import ServedVersion
from inference.outputs import ClassNames, Predictions
from inference.schema import RowSchema

Item = dict[str, Any]


class Format(NamedTuple):
    """`parse` takes the body's bytes; `render` gives the answer's; `place` is the JSON Pointer of a row in the body."""

    parse: Callable[[RowSchema, bytes], list[Row]]
    render: Callable[[str, ServedVersion, list[Item]], bytes]
    place: str


def items(predictions: Predictions, class_names: ClassNames | None) -> list[Item]:
    """One `{"prediction", "probabilities"}` for each row; without probabilities where the model has none."""
    labels, probabilities = predictions
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


def _one(request_id: str, version: ServedVersion, predictions: list[Item]) -> bytes:
    return orjson.dumps(_head(request_id, version) | predictions[0])


def _many(request_id: str, version: ServedVersion, predictions: list[Item]) -> bytes:
    counted = {"count": len(predictions), "predictions": predictions}
    return orjson.dumps(_head(request_id, version) | counted)


def _head(request_id: str, version: ServedVersion) -> Item:
    return {"request_id": request_id, "model": version.model, "version": version.listing.name}


ROW = Format(RowSchema.row, _one, "")
ROWS = Format(RowSchema.rows, _many, "/rows/{}")
LIST = Format(RowSchema.bare_rows, _many, "/{}")
