"""The rule of limits in its plainest form, and a check of recorded decisions against it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate


class Rule:
    """An exact log of what was spent on one meter: no trailing window holds more than its amount."""

    def __init__(self, amount, length):
        self.amount, self.length, self.log = amount, length, []

    def spent(self, now):
        return sum(cost for at, cost in self.log if at >= now - self.length)

    def admits(self, cost, now):
        if self.spent(now) + cost > self.amount:
            return False
        self.log.append((now, cost))
        return True


def worst_window(decisions, length):
    """The most that any trailing window of that length holds, of (time, cost) pairs; both ends count."""
    ordered = sorted(decisions)
    times = [at for at, _ in ordered]
    sums = [0, *accumulate(cost for _, cost in ordered)]
    return max((sums[bisect_right(times, end)] - sums[bisect_left(times, end - length)] for end in times), default=0)


def admitted_by_rule(offers, amount, length):
    """Returns how much an exact log admits of these (time, cost) offers, in all."""
    rule, total, start, spent = [], 0, 0, 0
    for now, cost in sorted(offers):
        while start < len(rule) and rule[start][0] < now - length:
            spent -= rule[start][1]
            start += 1
        if spent + cost <= amount:
            rule.append((now, cost))
            spent += cost
            total += cost
    return total
