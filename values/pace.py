"""How fast a queue is worked off, as far as its last turns tell."""

from __future__ import annotations

#: The weight of the newest turn in the mean.
_NEWEST = 0.2


class Pace:
    """The mean duration of a queue's turns, the newest ones first of all."""

    __slots__ = ("turn_seconds",)

    def __init__(self) -> None:
        self.turn_seconds = 0.0

    def took(self, seconds: float) -> None:
        """Notes that a turn took so long."""
        self.turn_seconds += (seconds - self.turn_seconds) * _NEWEST

    def wait_seconds(self, turns: float) -> float:
        """The time that so many turns take."""
        return turns * self.turn_seconds
