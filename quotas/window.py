"""A trailing window in about 64 sub-windows: never exceeded, at the same cost for any amount.

A log of instants is exact too, but grows with what it counts. A counter that weighs the window before by its overlap
lets almost twice the quota through when an adversary times its bursts. Here, spending within one sixty-fourth of the
window is counted together and expires with the last of it: no trailing window admits more than the quota, and spending
is free again at most a sixty-fourth of the window late.
"""

from __future__ import annotations

from quotas.store import Calendar, State, Trailing

SUB_WINDOWS = 64
NS = 1_000_000_000
_new = tuple.__new__
_FIRST, _LAST, _COUNT = 0, 1, 2


class Window:
    """The spending on one policy. Times are nanoseconds of a clock that does not go back."""

    __slots__ = ("_length", "_parts", "_total", "_width", "kind")

    def __init__(self, kind: Trailing) -> None:
        self.kind: Trailing | Calendar = kind
        self._length = kind.seconds * NS
        self._width = self._length // SUB_WINDOWS
        # Sub-windows, the oldest first: the instants of the first and the last spending in it, and how much.
        # A list: a deque would take its smallest block of 64 slots for each of a hundred thousand tenants.
        self._parts: list[list[int]] = []
        self._total = 0

    def spent(self, now: int) -> int:
        """Returns what was spent in the trailing window; the oldest sub-window counts whole."""
        expired, parts = now - self._length, self._parts
        while parts and parts[0][_LAST] < expired:
            self._total -= parts.pop(0)[_COUNT]
        return self._total

    def spend(self, cost: int, now: int) -> None:
        parts = self._parts
        if parts and now - parts[-1][_FIRST] < self._width:
            part = parts[-1]
            part[_LAST] = now
            part[_COUNT] += cost
        else:
            parts.append([now, now, cost])
        self._total += cost

    def seed(self, cost: int, at: int) -> None:
        """Counts spending of an instant before every `spend`, whichever was seeded before it.

        Sub-windows are seeded on a fixed grid, so that their number is bounded in any order of the instants.
        """
        index, begin = 0, at - at % self._width
        while index < len(self._parts) and self._parts[index][_LAST] < begin:
            index += 1
        if index < len(self._parts) and self._parts[index][_FIRST] < begin + self._width:
            part = self._parts[index]
            part[_FIRST], part[_LAST] = min(part[_FIRST], at), max(part[_LAST], at)
            part[_COUNT] += cost
        else:
            self._parts.insert(index, [at, at, cost])
        self._total += cost

    def follow(self, kind: Trailing | Calendar) -> None:
        """Keeps its length: a meter's name says its window."""

    def give_back(self, cost: int, spent_at: int) -> None:
        """Undoes a `spend` of that instant, if its sub-window still counts."""
        for part in self._parts:
            if part[_FIRST] <= spent_at <= part[_LAST]:
                back = min(cost, part[_COUNT])
                part[_COUNT] -= back
                self._total -= back
                return

    def parts(self) -> list[list[int]]:
        """Returns the sub-windows, the oldest first: the instants of the first and the last spending, and how much."""
        return self._parts

    def state(self, amount: int, now: int) -> State:
        """Returns what is left of the amount, and the nanoseconds until that grows."""
        parts = self._parts
        if parts and parts[0][_LAST] < now - self._length:
            self.spent(now)
        left, grows_in = amount - self._total, 0
        if parts:
            grows_in = parts[0][_LAST] + self._length + 1 - now if parts[0][_COUNT] else self.grows_in(now)
        # The two layers of a named tuple's own constructor would be a tenth of what a charge calls.
        return _new(State, (left if left > 0 else 0, grows_in))  # noqa: FURB136  max() is another call

    def free_again(self, amount: int, now: int) -> int:
        """Returns the nanoseconds until `amount` of the spending has expired; 0 if none has to."""
        for part in self._parts:
            if amount <= 0:
                break
            amount -= part[_COUNT]
            if amount <= 0:
                return part[_LAST] + self._length + 1 - now
        return 0

    def grows_in(self, now: int) -> int:
        """Returns the nanoseconds until the next spending expires; 0 if there is none."""
        return self.free_again(1, now)
