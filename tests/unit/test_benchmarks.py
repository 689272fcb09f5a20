"""The benchmarks' own judgement: a wrong answer is seen, a promise that is missed is named, a busy machine is no excuse."""

from __future__ import annotations

import json

import pytest

from benchmarks import guard, plot, targets, wrk
from benchmarks.dialects import Dialect, LitServe, OpenInference, Tutorial, question
from benchmarks.measured import Measured
from benchmarks.work import BATCHES, BOOSTED_64, FOREST_64, IRIS_64, Model

IRIS = Model(
    "iris",
    ("a", "b"),
    ["setosa", "virginica"],
    [[5.1, 1.0], [6.3, 2.0], [7.0, 3.0]],
    [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]],
)
ASKED = question(Dialect(), IRIS_64, IRIS)


def said(label: str, *probabilities: float) -> bytes:
    named = dict(zip(IRIS.labels, probabilities, strict=True))
    return json.dumps({"model": "iris", "prediction": label, "probabilities": named}).encode()


def test_an_answer_is_known_by_the_row_that_it_is_right_for():
    """Within the tolerance of compiled models, label and probabilities."""
    assert wrk.check(Dialect(), IRIS, ASKED, said("setosa", 0.9, 0.1)) == 0
    assert wrk.check(Dialect(), IRIS, ASKED, said("virginica", 0.2000004, 0.7999996)) == 1


@pytest.mark.parametrize(
    "answer", [said("virginica", 0.9, 0.1), said("setosa", 0.89, 0.11), b"{}", b"no JSON", b'{"predictions": []}']
)
def test_an_answer_that_is_right_for_no_row_is_an_error(answer):
    """Another label, other probabilities, or no answer at all."""
    with pytest.raises(wrk.WrongAnswer):
        wrk.check(Dialect(), IRIS, ASKED, answer)


def counted(*counts: int) -> bytes:
    """The answers to each of the bodies, as `wrk.lua` writes them."""
    bodies = [said("setosa", 0.9, 0.1), said("virginica", 0.2, 0.8), said("virginica", 0.3, 0.7)]
    answers = [b"200 " + body for body in bodies]
    return b"".join(b"%d %d\n%s\n" % (n, len(a), a) for n, a in zip(counts, answers, strict=True))


def test_every_answer_is_looked_at_and_each_body_has_its_share():
    """A server that gives one caller another's answer has right answers, but of one body too many."""
    wrk._check_all(Dialect(), IRIS, ASKED, counted(100, 103, 98), 8)
    with pytest.raises(wrk.WrongAnswer, match="were answered"):
        wrk._check_all(Dialect(), IRIS, ASKED, counted(100, 120, 80), 8)
    with pytest.raises(wrk.WrongAnswer, match="429"):
        wrk._check_all(Dialect(), IRIS, ASKED, b"1 6\n429 {}\n", 8)


@pytest.mark.parametrize("dialect", [Dialect(), Tutorial(), OpenInference(), LitServe()])
def test_a_batch_is_asked_in_each_dialect_with_as_many_rows(dialect):
    """A hundred rows, in turn; the first differs from body to body."""
    asked = question(dialect, BATCHES, IRIS)
    assert len(set(asked.bodies)) == len(IRIS.rows)
    assert {len(each) for each in asked.expected} == {100}


def figures(
    per_second: float, cpu_us: float = 100.0, core_share: float = 1.0, p99_ms: float = 1.5
) -> list[dict[str, float]]:
    each = {"per_second": per_second, "cpu_us": cpu_us, "core_share": core_share, "p50_ms": 1.0, "p99_ms": p99_ms}
    return [each] * 3


def test_a_promise_is_met_missed_or_not_measured():
    """0.7 of an echo is promised, and p99 within twice p50."""
    measured = Measured({(IRIS_64.name, targets.ADYTON): figures(710), (IRIS_64.name, targets.ECHO): figures(1000)})
    found = {each.words: each.is_met for each in targets.targets(measured)}
    assert found[f"{IRIS_64.name}: answers a second, beside {targets.ECHO}"] is True
    assert found[f"{IRIS_64.name}: p99 beside p50"] is True
    assert found[f"{IRIS_64.name}: answers a second, beside {targets.MLSERVER}"] is None
    measured.rounds[IRIS_64.name, targets.ADYTON] = figures(690, p99_ms=2.1)
    found = {each.words: each.is_met for each in targets.targets(measured)}
    assert found[f"{IRIS_64.name}: answers a second, beside {targets.ECHO}"] is False
    assert found[f"{IRIS_64.name}: p99 beside p50"] is False
    assert "| at least 0.70 | 0.69 | no |" in targets.table(measured)


def ran(cost: float, share: float = 1.0) -> Measured:
    works = (IRIS_64, FOREST_64, BOOSTED_64, BATCHES)
    ours = {(work.name, targets.ADYTON): figures(1000, 100 * cost * guard.BOUNDS[work]) for work in works}
    return Measured(ours | {(IRIS_64.name, targets.ECHO): figures(5000, 100, share)})


def test_the_guard_fails_past_its_bound_and_only_on_a_machine_that_can_tell(capsys):
    """Nine tenths of the bound pass, eleven fail, and a machine that is busy with other work decides nothing."""
    assert guard.judge(ran(0.9)) == 0
    assert guard.judge(ran(1.1)) == 1
    assert guard.judge(ran(0.9, share=0.5)) == 2
    assert "too busy" in capsys.readouterr().err


def test_the_plot_has_a_bar_for_each_server():
    """And its names are text, whatever they hold."""
    measured = Measured({("w", "Adyton"): figures(1000), ("w", "<b>"): figures(500)})
    drawn = plot.svg(measured, ["w"], ["Adyton", "<b>"])
    assert drawn.count("<rect") == 2
    assert "&lt;b&gt;" in drawn
