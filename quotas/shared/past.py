"""Spending that the log remembers, as the keys in Redis that count it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from quotas.calendar import bounds_at
from quotas.store import Calendar, Meter, Spending, Trailing
from quotas.window import Window

#: As trailing.lua and calendar.lua read them.
_HEAD, _PART, _PERIOD = struct.Struct("<dHHddd"), struct.Struct("<ddd"), struct.Struct("<ddd")
_SPARE_MS = 10_000
_A_DAY_MS = 86_400_000


class Key(NamedTuple):
    """A meter's key: what is in it, and how long it lives."""

    meter: Meter
    value: bytes
    lives_ms: int


class Past:
    """Spending up to `now_us`, Redis' time; ages are told by this process' wall clock, `now_ms`."""

    def __init__(self, now_us: int, now_ms: int) -> None:
        self._now_us = now_us
        self._now_ms = now_ms
        self._windows: dict[str, tuple[Meter, Window]] = {}
        self._periods: dict[str, tuple[Meter, int]] = {}

    def __len__(self) -> int:
        return len(self._windows) + len(self._periods)

    def add(self, spending: Spending) -> None:
        """Counts one spending. One that another clock dates in the future counts as of now."""
        meter, cost, at_ms = spending
        at_us = self._now_us - max(0, self._now_ms - at_ms) * 1_000
        if isinstance(meter.window, Trailing):
            if at_us + meter.window.seconds * 1_000_000 >= self._now_us:
                _, window = self._windows.setdefault(meter.name, (meter, Window(meter.window)))
                window.seed(cost, at_us * 1_000)
        elif bounds_at(meter.window, self._now_us // 1_000_000).start * 1_000_000 <= at_us:
            self._periods[meter.name] = (meter, self._periods.get(meter.name, (meter, 0))[1] + cost)

    def meters(self) -> Iterator[tuple[Meter, list[list[int]]]]:
        """Yields each meter with its spending in parts: the times of the first and the last spending, and how much."""
        for meter, window in self._windows.values():
            yield meter, [[first // 1_000, -(-last // 1_000), count] for first, last, count in window.parts()]
        for meter, spent in self._periods.values():
            yield meter, [[self._now_us, self._now_us, spent]]

    def keys(self) -> Iterator[Key]:
        for meter, window in self._windows.values():
            yield self._trailing(meter, window)
        for meter, spent in self._periods.values():
            if isinstance(meter.window, Calendar):
                bounds = bounds_at(meter.window, self._now_us // 1_000_000)
                lives_ms = max(0, bounds.end * 1_000 - self._now_us // 1_000) + _A_DAY_MS + _SPARE_MS
                yield Key(meter, _PERIOD.pack(bounds.first, spent, self._now_us), lives_ms)

    def _trailing(self, meter: Meter, window: Window) -> Key:
        parts = [(first // 1_000, -(-last // 1_000), count) for first, last, count in window.parts()]
        head = _HEAD.pack(sum(count for _, _, count in parts), 0, len(parts), *parts[-1])
        seconds = meter.window.seconds if isinstance(meter.window, Trailing) else 0
        lives_ms = (parts[-1][1] - self._now_us) // 1_000 + seconds * 1_016 + _SPARE_MS
        return Key(meter, head + b"".join(_PART.pack(*part) for part in parts[:-1]), lives_ms)
