"""Allowances: each caller may do work that no limit of its tenant counts only so often a minute.

That work costs everybody: buying or ending a token writes to the database and makes every process forget something, a
reading of the log is an event, and a description of a model may be a megabyte.
"""

from __future__ import annotations

from typing import NamedTuple

from quotas.store import Meter, Trailing
from values.subjects import Subject


class Allowance(NamedTuple):
    """At most `amount` of a unit in any trailing window, for each key or person by itself."""

    unit: str
    amount: int
    window_seconds: int

    def of(self, subject: Subject) -> Meter:
        """Returns the meter of one subject; its policy is named LEVEL-UNIT-SECONDS like any other."""
        name = f"{subject.kind}-{self.unit}-{self.window_seconds}:{subject}"
        return Meter(name, self.amount, Trailing(self.window_seconds))


TOKENS = Allowance("tokens", 60, 60)
REVOCATIONS = Allowance("revocations", 60, 60)
SEARCHES = Allowance("searches", 600, 60)
#: Readings of one record by its id: a caller may look up each answer of a busy hour.
READINGS = Allowance("readings", 6_000, 60)
#: Descriptions of models, and of the OpenAPI document as the caller may see it.
DESCRIPTIONS = Allowance("descriptions", 600, 60)
#: Questions about the caller itself: everything else that is not charged.
STATUS = Allowance("status", 6_000, 60)
