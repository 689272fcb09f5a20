"""Charges and their answers as the scripts in Redis read and write them. Redis counts in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quotas.calendar import bounds_at
from quotas.store import Charged, Full, Lease, Meter, Pool, Refused, State, Trailing

Word = list[Any]

#: A pool without a bound has a bound that no number of places reaches.
UNBOUNDED = 1 << 40


def word_of(meter: Meter, second: int) -> Word:
    """A meter, as known at that second of this process' wall clock; Redis' own clock chooses the calendar period."""
    name, amount, kind = meter
    if isinstance(kind, Trailing):
        return [name, amount, kind.seconds * 1_000_000]
    this = bounds_at(kind, second)
    before = bounds_at(kind, this.start - 1)
    return [name, amount, 0, this.start, this.end, this.next_end, before.first, this.first, this.next_first]


def words_of(meters: Sequence[Meter], second: int) -> list[Word]:
    return [word_of(meter, second) for meter in meters]


def charge(meters: list[Word], cost: int, shown: list[Word], pool: Pool | None) -> Word:
    name = "" if pool is None else pool.name
    at_once = UNBOUNDED if pool is None or pool.at_once is None else pool.at_once
    return ["charge", cost, meters, shown, name, at_once]


def outcome_of(answer: Sequence[Any], meters: Sequence[Meter], pool: Pool | None) -> Charged | Refused | Full:
    """The answer to a `charge`."""
    kind, states = answer[0], states_of(answer[1])
    if kind == 1:
        return Charged(answer[2], states, None if pool is None else Lease(pool.name))
    if kind == 0:
        return Refused([meters[at] for at in answer[3]], answer[2] * 1_000, states)
    return Full(states)


def states_of(flat: Sequence[int]) -> list[State]:
    return [State(flat[at], flat[at + 1] * 1_000) for at in range(0, len(flat), 2)]
