"""The checks of a run. Each yields one sentence for each fault, and none if all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from locustfiles.agreement import Agreement
from locustfiles.answers import Answer
from locustfiles.expected import EXPECTED, FAILURES_SECONDS, MAX_FAILURES, UNAVAILABLE, fault_of
from locustfiles.oracle import costs_of, is_impossible, is_possible, most_for_certain, needless_refusals
from locustfiles.records import Entry

ANSWERED, REFUSED = "answered", "refused:"
#: Another tenant's p95 beside the abuse is at most so many times its own, or short anyway.
MOST_TIMES, FLOOR_MS = 2.0, 30.0
#: At most this share of all requests may find no caller known (503): then the service or its machine is too slow.
MOST_UNAVAILABLE = 0.01
QUIET = ("quiet", "quiet batch")
#: Until everybody who begins at once has begun.
BEGIN_SECONDS = 1.0


class Run(NamedTuple):
    """All that is known of a run."""

    agreement: Agreement
    answers: Sequence[Answer]
    log: Sequence[Entry]
    most_times: float = MOST_TIMES
    most_unavailable: float = MOST_UNAVAILABLE


def limits(run: Run) -> Iterator[str]:
    """No limit was exceeded, each was reached, and no refusal was needless."""
    for limit in run.agreement.limits:
        costs = costs_of(limit, run.answers)
        if is_impossible(costs, limit.amount, limit.window_seconds):
            most = most_for_certain(costs, limit.window_seconds)
            yield f"{limit.name}: {most} {limit.unit} within {limit.window_seconds} s, of {limit.amount} allowed"
        refused = [each for each in run.answers if each.key_id in limit.key_ids and each.problem == "quota-exceeded"]
        if not refused:
            yield f"{limit.name}: was never reached, so that the run proves nothing"
        if needless := needless_refusals(limit, run.answers):
            yield f"{limit.name}: {len(needless)} requests were refused while there was room"


def undecided(run: Run) -> list[str]:
    """The limits of which clients cannot tell whether they were kept; a word for the report, and no fault."""
    found = []
    for limit in run.agreement.limits:
        costs = costs_of(limit, run.answers)
        args = costs, limit.amount, limit.window_seconds
        if not is_impossible(*args) and not is_possible(*args):
            found.append(limit.name)
    return found


def answers(run: Run) -> Iterator[str]:
    """Every kind of request got its right answer, and each tenant its own."""
    faults = Counter(filter(None, map(fault_of, run.answers)))
    for words, times in faults.items():
        yield f"{words} ({times} times)"
    unknown = sum((each.status, each.problem) == UNAVAILABLE for each in run.answers)
    if unknown > run.most_unavailable * len(run.answers):
        yield f"no caller could be known for {unknown} of {len(run.answers)} requests"
    failures = sorted(each.received for each in run.answers if each.status in {401, 404})
    for each in run.answers:
        if each.problem == "too-many-failures":
            since = each.received - FAILURES_SECONDS * (1 + 1 / 32)
            if sum(since <= instant <= each.received for instant in failures) < MAX_FAILURES:
                yield f"{each.kind}: the address was throttled before it had failed {MAX_FAILURES} times"
                return


def work(run: Run) -> Iterator[str]:
    """Everybody was there: every kind of request was made."""
    asked = {each.kind for each in run.answers}
    yield from (f"{kind}: nobody asked so" for kind in EXPECTED if kind not in asked)


def neighbours(run: Run) -> Iterator[str]:
    """The quiet tenant's p95 beside all the others is like its p95 alone, and nothing of it is refused."""
    for kind in QUIET:
        alone, beside = latencies(run, kind)
        if not alone or not beside:
            yield f"{kind}: was not measured both alone and beside others"
        elif quantile(beside, 0.95) > max(run.most_times * quantile(alone, 0.95), FLOOR_MS):
            times = f"{quantile(alone, 0.95):.1f} ms alone and {quantile(beside, 0.95):.1f} ms beside others"
            yield f"{kind}: p95 is {times}"


def latencies(run: Run, kind: str) -> tuple[list[float], list[float]]:
    """The latencies of a kind of the quiet tenant's requests, in ms: alone, and beside all the others."""
    mine = [each for each in run.answers if each.kind == kind]
    others = [each.sent for each in run.answers if each.kind not in {*QUIET, "before"}]
    begun = min(others, default=float("inf"))
    # The first second is that of connections being made, on both sides.
    first = min((each.sent for each in mine), default=0.0) + BEGIN_SECONDS
    alone = [each.latency_ms for each in mine if first <= each.sent and each.received < begun]
    beside = [each.latency_ms for each in mine if each.sent > begun + BEGIN_SECONDS]
    return alone, beside


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def log(run: Run) -> Iterator[str]:
    """Every answered request stands in the log once, as its own caller's; and no record has no request."""
    found = Counter(each.request_id for each in run.log if each.outcome == ANSWERED)
    entries = {each.request_id: each for each in run.log if each.outcome == ANSWERED}
    seen = {each.request_id: each for each in run.answers if each.is_prediction}
    if not seen:
        yield "nothing was predicted, so that the run proves nothing"
    yield from _told("answered requests are not in the log", [each for each in seen if each not in found])
    yield from _told("requests are in the log more than once", [each for each, times in found.items() if times > 1])
    others = [each for each, answer in seen.items() if each in entries and not _is_of(entries[each], answer)]
    yield from _told("answers are recorded as another caller's, or with other rows", others)
    predictions = sum(each.is_prediction for each in run.answers)
    if predictions > len(seen):
        yield f"{predictions - len(seen)} answers had another answer's request id"
    yield from _told("records are of answers that nobody got", _unseen(run, entries, seen))
    withdrawn = {each.request_id for each in run.log if each.outcome == "withdrawn"}
    yield from _told("answered requests are withdrawn in the log", sorted(withdrawn & set(seen)))
    yield from _refusals(run)


def _told(words: str, request_ids: Sequence[str]) -> Iterator[str]:
    if request_ids:
        yield f"{len(request_ids)} {words}, such as {request_ids[0]}"


def _is_of(entry: Entry, answer: Answer) -> bool:
    return (entry.tenant, entry.key_id, entry.rows) == (answer.tenant, answer.key_id, answer.rows)


def _unseen(run: Run, entries: dict[str, Entry], seen: dict[str, Answer]) -> list[str]:
    """Records without an answer, beyond the requests of the same key that got none."""
    lost = Counter(each.key_id for each in run.answers if each.status == 0)
    unseen = []
    for request_id, entry in entries.items():
        if request_id not in seen:
            lost[entry.key_id] -= 1
            if lost[entry.key_id] < 0:
                unseen.append(request_id)
    return unseen


#: Refusals that come before a prediction's admission, or after its route is known to be another: not recorded.
UNRECORDED = frozenset(
    {"method-not-allowed", "unauthorized", "too-many-failures", "malformed-request", "directory-unavailable"}
)


def _refusals(run: Run) -> Iterator[str]:
    """Each key's refusals are counted in the log as often as its clients saw them."""
    recorded: Counter[tuple[str, str]] = Counter()
    for entry in run.log:
        if entry.outcome.startswith(REFUSED):
            recorded[entry.key_id, entry.outcome.removeprefix(REFUSED)] += entry.count
    refused = (each for each in run.answers if each.key_id and each.problem)
    seen = Counter((each.key_id, each.problem) for each in refused)
    lost = Counter(each.key_id for each in run.answers if each.status == 0)
    for key_id, problem in sorted(seen | recorded):
        counted, told = recorded[key_id, problem], seen[key_id, problem]
        if counted < told and problem not in UNRECORDED:
            yield f"{problem}: {told} refusals of key {key_id} are {counted} in the log"
        if counted > told + lost[key_id]:
            yield f"{problem}: the log has {counted} refusals of key {key_id}, of which clients saw {told}"


CHECKS = {"limits": limits, "answers": answers, "work": work, "neighbours": neighbours, "log": log}
