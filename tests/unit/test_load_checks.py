"""The checks of a load run: each fault that a run can show has its sentence, and a run without one has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from locustfiles import checks
from locustfiles.agreement import Agreement, Key, Limit
from locustfiles.answers import Answer, read_answers, write_answers
from locustfiles.checks import Run
from locustfiles.records import Entry

LIMIT = Limit("one key", ["k"], "requests", 2, 10.0)
AGREEMENT = Agreement({"k": Key("k", "ady_", "t", {}, {})}, [LIMIT], {}, ["t"])


def answer(number: int, kind: str = "predict", status: int = 200, problem: str = "", **more) -> Answer:
    facts = {"sent": float(number), "received": number + 0.01, "key_id": "k", "tenant": "t", "rows": 1} | more
    return Answer(kind, status=status, problem=problem, request_id=f"r{number}", **facts)


def entry(number: int, outcome: str = "answered", count: int = 1, **more) -> Entry:
    facts = {"tenant": "t", "key_id": "k", "rows": 1} | more
    return Entry(f"r{number}", outcome=outcome, count=count, **facts)


OVER = answer(3, status=429, problem="quota-exceeded")
GOOD = Run(AGREEMENT, [answer(1), answer(2), OVER], [entry(1), entry(2), entry(3, "refused:quota-exceeded")])


def found(check, run: Run) -> str:
    return "\n".join(check(run))


def test_a_good_run_has_no_fault():
    """Two of two allowed, the third refused, and the log says so."""
    assert [found(check, GOOD) for check in (checks.limits, checks.answers, checks.log)] == ["", "", ""]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([entry(1), GOOD.log[2]], "1 answered requests are not in the log, such as r2"),
        ([*GOOD.log, entry(2)], "1 requests are in the log more than once, such as r2"),
        ([entry(1), entry(2, key_id="o"), GOOD.log[2]], "1 answers are recorded as another caller's"),
        ([entry(1), entry(2, tenant="o"), GOOD.log[2]], "1 answers are recorded as another caller's"),
        ([entry(1), entry(2, rows=2), GOOD.log[2]], "1 answers are recorded as another caller's, or with other rows"),
        ([*GOOD.log, entry(9)], "1 records are of answers that nobody got, such as r9"),
        ([*GOOD.log, entry(2, "withdrawn")], "1 answered requests are withdrawn in the log, such as r2"),
        ([entry(1), entry(2)], "quota-exceeded: 1 refusals of key k are 0 in the log"),
        ([entry(1), entry(2), entry(3, "refused:quota-exceeded", 5)], "the log has 5 refusals of key k"),
        ([entry(1), entry(2), GOOD.log[2], entry(4, "refused:deadline")], "the log has 1 refusals of key k"),
    ],
)
def test_a_log_that_differs_from_what_clients_saw_is_a_fault(log, words):
    """A record too few, too many, twice, or of somebody else."""
    assert words in found(checks.log, GOOD._replace(log=log))


def test_one_answer_for_two_requests_is_a_fault():
    """The second caller got the first one's request id."""
    twice = [*GOOD.answers, replace(answer(2), sent=2.5)]
    assert "1 answers had another answer's request id" in found(checks.log, GOOD._replace(answers=twice))


def test_a_record_of_a_request_that_was_given_up_is_no_fault():
    """Its client hung up, so that it cannot know whether it was answered."""
    given_up = [*GOOD.answers, answer(9, "a body without end", 0)]
    assert found(checks.log, GOOD._replace(answers=given_up, log=[*GOOD.log, entry(8)])) == ""


def test_an_empty_run_proves_nothing():
    """No answers and no records agree, and are red all the same."""
    empty = Run(AGREEMENT, [], [])
    assert "never reached" in found(checks.limits, empty)
    assert "proves nothing" in found(checks.log, empty)
    assert "not measured" in found(checks.neighbours, empty)
    assert "broken JSON: nobody asked so" in found(checks.work, empty)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (answer(4, "quiet", 429, "quota-exceeded"), "quiet: 429 quota-exceeded"),
        (answer(4, "broken JSON", 500, "internal"), "broken JSON: 500 internal"),
        (answer(4, "broken JSON"), "broken JSON: 200"),
        (answer(4, "a revoked key"), "a revoked key: 200"),
        (answer(4, "predict", 0), "predict: no answer"),
        (answer(4, "a kind that the table has not"), "a kind that the table has not: 200"),
        (answer(4, wrong="the answer is not that of the rows"), "predict: the answer is not that of the rows"),
        (answer(4, "an unknown path", 429, "too-many-failures"), "throttled before it had failed 600 times"),
        (answer(4, "quiet", 503, "directory-unavailable"), "no caller could be known for 1 of 4 requests"),
    ],
)
def test_a_wrong_answer_is_a_fault(bad, words):
    """For each kind of request the table says what is right."""
    assert words in found(checks.answers, GOOD._replace(answers=[*GOOD.answers, bad]))


def test_an_address_that_failed_often_enough_may_be_throttled():
    """Six hundred failures in a minute, and then a refusal that says so."""
    failed = [answer(n / 20, "an unknown key", 401, "unauthorized", received=n / 20) for n in range(600)]
    throttled = answer(40, "an unknown key", 429, "too-many-failures")
    assert found(checks.answers, GOOD._replace(answers=[*failed, throttled])) == ""
    assert "before it had failed" in found(checks.answers, GOOD._replace(answers=[*failed[1:], throttled]))


def quiet(slowness_ms: float) -> Run:
    """Ten seconds alone in 10 ms each, and ten beside others."""
    spans = [(n / 10, 0.01 if n < 100 else slowness_ms / 1e3) for n in range(200)]
    mine = [
        Answer(kind, at, at + span, 200, due=at) for kind in checks.QUIET for at, span in spans
    ]  # fmt: skip
    return GOOD._replace(answers=[*mine, *(replace(answer(n), sent=float(n)) for n in range(10, 20))])


def test_a_neighbour_that_is_slower_beside_others_is_a_fault():
    """Three times as slow and more than the floor; what is short anyway is fair."""
    assert found(checks.neighbours, quiet(25)) == ""
    assert "p95 is 10.0 ms alone and 31.0 ms beside others" in found(checks.neighbours, quiet(31))


def test_a_late_client_counts_as_waiting():
    """The latency of an open loop runs from when the request was due, so that a slow server cannot hide behind it."""
    assert answer(4, due=3.0).latency_ms == pytest.approx(1010)
    assert answer(4).latency_ms == pytest.approx(10)


def test_answers_and_agreements_are_read_as_they_were_written(tmp_path):
    """The judge works on files, so that it can work elsewhere and later."""
    write_answers(tmp_path / "answers", GOOD.answers)
    assert read_answers(tmp_path / "answers") == GOOD.answers
    agreement = replace(AGREEMENT, asked=[answer(1)])
    agreement.write(tmp_path / "agreement")
    assert Agreement.read(tmp_path / "agreement") == agreement
    assert (tmp_path / "agreement").stat().st_mode & 0o077 == 0
