"""The figures of a run: each round's, by work and server, and their medians."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Measured:
    """The figures of each round, by work and contender."""

    rounds: dict[tuple[str, str], list[dict[str, float]]] = field(default_factory=dict)
    #: Why a peer has no figures.
    faults: dict[tuple[str, str], str] = field(default_factory=dict)

    def median(self, work: str, contender: str) -> dict[str, float] | None:
        found = self.rounds.get((work, contender))
        return {name: statistics.median(each[name] for each in found) for name in found[0]} if found else None

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"work": work, "server": contender, "median": self.median(work, contender), "rounds": found}
            for (work, contender), found in self.rounds.items()
        ]

    @classmethod
    def of(cls, items: list[dict[str, Any]]) -> Measured:
        """The same from JSON."""
        return cls({(each["work"], each["server"]): each["rounds"] for each in items})
