"""Whether a limit was kept, as far as clients can know: they see when they sent and when the answer came.

The server decided in between. A set of such intervals proves a fault if no instants within them keep the limit. It
proves that all may be well if there are such instants. Both proofs are made here; in between lies only what clients
cannot tell.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from locustfiles.agreement import Limit
from locustfiles.answers import Answer

#: Two decisions that lie a window apart to the nanosecond are no fault of anybody's.
EPSILON = 1e-6


class Cost(NamedTuple):
    """The cost of one admitted request, spent at some instant between `sent` and `received`."""

    sent: float
    received: float
    amount: int


def costs_of(limit: Limit, answers: Iterable[Answer]) -> list[Cost]:
    """The spending of the limit's keys, as far as it was answered with 200."""
    keys = set(limit.key_ids)
    return [
        Cost(each.sent, each.received, each.rows if limit.unit == "rows" else 1)
        for each in answers
        if each.key_id in keys and each.is_prediction
    ]


def certain_spending(costs: Sequence[Cost], window_seconds: float) -> list[tuple[float, int]]:
    """For each answer: its instant, and what was certainly spent in the window that ends there, sent and answered."""
    by_end = sorted(costs, key=lambda each: each.received)
    ends = [each.received for each in by_end]
    found = []
    for end in ends:
        start = end - window_seconds + EPSILON
        within = by_end[bisect_left(ends, start) : bisect_right(ends, end)]
        found.append((end, sum(each.amount for each in within if each.sent >= start)))
    return found


def most_for_certain(costs: Sequence[Cost], window_seconds: float) -> int:
    """The most that was certainly spent within one window."""
    return max((spent for _, spent in certain_spending(costs, window_seconds)), default=0)


def is_possible(costs: Sequence[Cost], amount: int, window_seconds: float) -> bool:
    """Whether instants within the intervals were found that keep the limit: then no fault can be proved.

    Each takes the first instant that the limit leaves it, of those that wait the one whose answer came first.
    """
    arriving, waiting = deque(sorted(costs)), list[tuple[float, float, int]]()
    decided: deque[tuple[float, int]] = deque()
    spent, now = 0, 0.0
    while arriving or waiting:
        if not waiting:
            now = max(now, arriving[0].sent)
        while arriving and arriving[0].sent <= now:
            each = arriving.popleft()
            heappush(waiting, (each.received, each.sent, each.amount))
        while decided and decided[0][0] <= now - window_seconds + EPSILON:
            spent -= decided.popleft()[1]
        received, _, cost = waiting[0]
        if now > received + EPSILON or cost > amount:
            return False
        if spent + cost <= amount:
            heappop(waiting)
            decided.append((now, cost))
            spent += cost
        else:
            # The first instant at which something is free again; who is sent until then may have to be sooner.
            now = decided[0][0] + window_seconds
    return True


def is_impossible(costs: Sequence[Cost], amount: int, window_seconds: float) -> bool:
    """Whether it is proved that the limit was broken.

    Either more was certainly within one window; or, where all costs are alike, decisions in the order of sending that
    each come as early as the limit lets them are too late for the answers in their order. (To sort both ends only
    gives the server more room: what cannot be so even then cannot be at all.)
    """
    if most_for_certain(costs, window_seconds) > amount:
        return True
    amounts = {each.amount for each in costs}
    if len(amounts) != 1:
        return False
    at_once = amount // amounts.pop()
    if at_once == 0:
        return True
    instants: list[float] = []
    ends = sorted(each.received for each in costs)
    for place, (sent, received) in enumerate(zip(sorted(each.sent for each in costs), ends, strict=True)):
        free = instants[place - at_once] + window_seconds - EPSILON if place >= at_once else 0.0
        instants.append(max(sent, free, instants[-1] if instants else 0.0))
        if instants[-1] > received + EPSILON:
            return True
    return False


def needless_refusals(limit: Limit, answers: Iterable[Answer], slack: float = 1 / 32) -> list[Answer]:
    """Refusals of a key whose window cannot have been full, even if all that was answered near it counted.

    The limiter counts spending in sub-windows, so that it may be free again a little late: `slack` of the window.
    """
    known = [each for each in answers if each.key_id in set(limit.key_ids)]
    # All that may have been charged counts here: a refusal of another kind keeps its charge.
    spent: list[tuple[float, float, int]] = []
    for each in known:
        if each.problem != "quota-exceeded":
            insort(spent, (each.received, each.sent, _cost(limit, each)))
    reach = limit.window_seconds * (1 + slack)
    found = []
    for refused in known:
        if refused.problem == "quota-exceeded":
            first = bisect_right(spent, (refused.sent - reach, 0.0, 0))
            possible = sum(cost for _, sent, cost in spent[first:] if sent <= refused.received)
            if possible + _cost(limit, refused) <= limit.amount:
                found.append(refused)
    return found


def _cost(limit: Limit, answer: Answer) -> int:
    return answer.rows if limit.unit == "rows" else 1
