"""Judges a run by what its clients saw and by the server's log; exit code 1 if anything is wrong.

    python -m locustfiles.judge DIR --host http://127.0.0.1:8000 [--most-times 2] [--most-unavailable 0.01]

DIR holds `agreement.json` and `answers.ndjson`; `judgement.json` and `judgement.html` are written into it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from locustfiles import checks, page
from locustfiles.agreement import Agreement
from locustfiles.answers import read_answers
from locustfiles.checks import CHECKS, MOST_TIMES, MOST_UNAVAILABLE, Run, latencies, quantile
from locustfiles.oracle import costs_of, most_for_certain
from locustfiles.records import read_log


def judge(
    directory: Path, url: str, *, most_times: float = MOST_TIMES, most_unavailable: float = MOST_UNAVAILABLE
) -> dict[str, Any]:
    """Reads the log, judges, and writes the judgement; returns it."""
    agreement = Agreement.read(directory / "agreement.json")
    answers = [*agreement.asked, *read_answers(directory / "answers.ndjson")]
    run = Run(agreement, answers, read_log(url, agreement), most_times, most_unavailable)
    judgement = judgement_on(run)
    (directory / "judgement.json").write_text(json.dumps(judgement, indent=1) + "\n")
    (directory / "judgement.html").write_text(page.html(run, judgement))
    return judgement


def judgement_on(run: Run) -> dict[str, Any]:
    """The faults of each check, and the figures that they were found in."""
    faults = {name: list(check(run)) for name, check in CHECKS.items()}
    return {
        "green": not any(faults.values()),
        "faults": faults,
        "limits": [_limit(run, limit) for limit in run.agreement.limits],
        "cannot_be_told": checks.undecided(run),
        "latency_ms": {kind: _latency(run, kind) for kind in checks.QUIET},
        "answers": _counts(run),
        "records": dict(Counter(each.outcome for each in run.log)),
    }


def _limit(run: Run, limit: Any) -> dict[str, Any]:
    most = most_for_certain(costs_of(limit, run.answers), limit.window_seconds)
    return {"name": limit.name, "unit": limit.unit, "amount": limit.amount, "most_in_a_window": most}


def _latency(run: Run, kind: str) -> dict[str, dict[str, float]]:
    found = dict(zip(("alone", "beside"), latencies(run, kind), strict=True))
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {
        phase: {name: round(quantile(values, share), 2) for name, share in shares.items()}
        for phase, values in found.items()
        if values
    }


def _counts(run: Run) -> dict[str, dict[str, int]]:
    kinds: dict[str, Counter[str]] = {}
    for each in run.answers:
        words = f"{each.status} {each.problem}".strip() if each.status else "none"
        kinds.setdefault(each.kind, Counter())[words] += 1
    return {kind: dict(statuses) for kind, statuses in kinds.items()}


def show(judgement: dict[str, Any]) -> None:
    for limit in judgement["limits"]:
        print(f"{limit['name']}: at most {limit['most_in_a_window']} of {limit['amount']} {limit['unit']} in a window")
    for kind, phases in judgement["latency_ms"].items():
        words = ", ".join(f"{phase} p50 {each['p50']} p95 {each['p95']} ms" for phase, each in phases.items())
        print(f"{kind}: {words}")
    for name, faults in judgement["faults"].items():
        for fault in faults:
            print(f"FAULT ({name}): {fault}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--most-times", type=float, default=MOST_TIMES, help="a quiet p95 beside others, to that alone")
    parser.add_argument("--most-unavailable", type=float, default=MOST_UNAVAILABLE, help="share of 503, none known")
    options = parser.parse_args()
    terms = {"most_times": options.most_times, "most_unavailable": options.most_unavailable}
    judgement = judge(options.directory, options.host, **terms)
    show(judgement)
    return 0 if judgement["green"] else 1


if __name__ == "__main__":
    sys.exit(main())
