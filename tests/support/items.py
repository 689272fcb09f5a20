"""Answers written one by one, to be compared with those that are written by columns."""

from __future__ import annotations

from inference.outputs import Predictions
from serving.wire.items import ItemWriter


def writer_of(item) -> ItemWriter:
    """A writer for answers with the names of that one."""
    classes, scores = item.get("probabilities"), item.get("scores")
    names = [list(each) for each in classes] if isinstance(classes, list) else list(classes) if classes else None
    return ItemWriter(names, list(scores) if scores else None)


def predictions_of(items) -> Predictions:
    """The predictions that items of one shape were made of."""

    def values(of):
        return [list(each.values()) for each in of] if isinstance(of, list) else list(of.values())

    def column(member):
        return [values(item[member]) for item in items] if items and member in items[0] else None

    return Predictions([item["prediction"] for item in items], column("probabilities"), column("scores"))


def stored_text(redactor, items) -> bytes:
    """The JSON of those items that the redactor lets be stored."""
    writer, predictions = writer_of(items[0] if items else {}), predictions_of(items)
    return writer.write(predictions, redactor.changed(predictions.labels, writer.names(predictions)))
