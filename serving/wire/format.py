"""The interface of a wire format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inference.loading import ServedVersion
from inference.outputs import Predictions
from inference.rows.inputs import Row
from inference.rows.schema import RowSchema


class WireFormat(Protocol):
    """How one kind of request writes rows and answers. It decides nothing."""

    def rows(self, schema: RowSchema, body: bytes) -> Sequence[Row]:
        """The rows of a body. Raises `BrokenJson` or `InvalidRows`."""
        ...

    def at(self, row: int) -> str:
        """The JSON Pointer to a row in the body."""
        ...

    def answer(self, request_id: str, version: ServedVersion, predictions: Predictions, items: bytes) -> bytes:
        """The bytes of an answer; `items` are the predictions as the log stores them, a JSON list."""
        ...
