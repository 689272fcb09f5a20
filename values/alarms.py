"""The log lines that must wake an operator; docs/operations.md quotes each of them, and a test compares."""

from __future__ import annotations

from typing import Final

LOG_CANNOT_BE_WRITTEN: Final = "the prediction log cannot be written"
CHANGES_CANNOT_BE_FOLLOWED: Final = "changes cannot be followed"
MODEL_IS_TAKEN_OUT: Final = "is taken out"
TOO_MANY_CONNECTIONS: Final = "too many connections"
WORKER_DOES_NOT_START: Final = "a worker does not start"

ALARMS = (
    LOG_CANNOT_BE_WRITTEN,
    CHANGES_CANNOT_BE_FOLLOWED,
    MODEL_IS_TAKEN_OUT,
    TOO_MANY_CONNECTIONS,
    WORKER_DOES_NOT_START,
)
