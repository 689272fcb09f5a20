"""One version's answers, written for its callers and for the log."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import orjson

from audit.record import Record
from audit.redaction import Redactor
from inference.loading import ServedVersion
from inference.outputs import Predictions
from inference.rows.inputs import Row
from serving.wire.items import ItemWriter


class Scribe:
    """Writes a version's predictions as JSON, and into a record what may be stored of them and of their rows."""

    def __init__(self, served: ServedVersion) -> None:
        self._model = served.model
        self._items = ItemWriter(served.class_names, served.score_names)
        self._redactor = Redactor(served.schema.pii, texts=served.schema.searched)

    def items(self, predictions: Predictions) -> bytes:
        """The predictions as a JSON list."""
        return self._items.write(predictions)

    def describe(
        self, record: Record, rows: Sequence[Row], predictions: Predictions, items: bytes, fingerprint_key: bytes
    ) -> None:
        """Fills in what may be stored; `items` are the predictions as the caller gets them."""
        record.inputs = self._redactor.inputs(rows, fingerprint_key)
        changed = self._redactor.changed(predictions.labels, self._items.names(predictions))
        record.outputs = (self._items.write(predictions, changed) if changed else items).decode()
        if len(rows) == 1:
            record.fingerprint = row_fingerprint(fingerprint_key, self._model, rows[0])


def row_fingerprint(key: bytes, model: str, row: Row) -> str:
    """HMAC-SHA-256 under the tenant's key of a model's name and a row; shows whether this row was ever predicted."""
    # `hmac.digest` would release the interpreter lock, and taking it again costs more than the digest.
    return hmac.new(key, orjson.dumps([model, row], option=orjson.OPT_SORT_KEYS), hashlib.sha256).hexdigest()
