"""Allowances: how often a minute each caller may do what no limit of its tenant counts, and what costs everybody.

A token that is bought or ended is written, and makes every process forget something; a reading of the log is an event;
a description of a model may be a megabyte.
"""

from __future__ import annotations

from typing import NamedTuple

from quotas.memory import Meter
from values.subjects import Subject


class Allowance(NamedTuple):
    """So many of these in any trailing window, for each key or person by itself."""

    unit: str
    amount: int
    window_seconds: int

    def of(self, subject: Subject) -> Meter:
        """The meter of one subject; its policy is named LEVEL-UNIT-SECONDS like any other."""
        return Meter(f"{subject.kind}-{self.unit}-{self.window_seconds}:{subject}", self.amount, self.window_seconds)


TOKENS = Allowance("tokens", 60, 60)
REVOCATIONS = Allowance("revocations", 60, 60)
SEARCHES = Allowance("searches", 600, 60)
#: Of one record by its id: somebody may look up each answer of a busy hour.
READINGS = Allowance("readings", 6_000, 60)
#: Of models, and of the OpenAPI document as this caller may see it.
DESCRIPTIONS = Allowance("descriptions", 600, 60)
#: Of what the caller itself is and has: everything else that is not charged.
STATUS = Allowance("status", 6_000, 60)
