"""The facts that end a command with one line."""

from __future__ import annotations

from admin.facts import Refused
from auth.keyring import WrongSecret
from db.database import ChangedMeanwhile, DatabaseUnavailable
from migrations import SchemaOutOfDate
from program.listening import CannotListen
from program.settings import InvalidSettings
from program.supervisor import NeverServed
from quotas.store import StoreUnavailable, StoreUnfit

_REFUSALS = (Refused, ChangedMeanwhile, InvalidSettings, SchemaOutOfDate, WrongSecret, CannotListen, NeverServed)


def reason_of(error: Exception) -> str | None:
    """The line for an operator; None for an error that is a fault of the program."""
    if isinstance(error, DatabaseUnavailable):
        return f"the database is not available ({error})"
    if isinstance(error, StoreUnavailable):
        return "Redis, which counts what is used of limits, does not answer"
    if isinstance(error, StoreUnfit):
        return f"ADYTON_REDIS_URL: {error}"
    return str(error) if isinstance(error, _REFUSALS) else None
