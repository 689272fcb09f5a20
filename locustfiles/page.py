"""The judgement as one page of HTML with charts, which needs no network and no library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from locustfiles.agreement import Limit
from locustfiles.checks import QUIET, Run
from locustfiles.oracle import certain_spending, costs_of

WIDTH, HEIGHT, EDGE = 760, 150, 40
STYLE = """
body{font:15px/1.5 sans-serif;max-width:820px;margin:2em auto;padding:0 1em;color:#222}
.green{color:#1b7f5c}.red{color:#b3261e}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left}
tr:nth-child(even){background:#f4f6f7}svg text{font:11px sans-serif;fill:#555}
"""
Points = Sequence[tuple[float, float]]


def html(run: Run, judgement: dict[str, Any]) -> str:
    word = "green" if judgement["green"] else "red"
    faults = [
        f"<li>{escape(name)}: {escape(each)}</li>" for name, found in judgement["faults"].items() for each in found
    ]
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Load: {word}</title><style>{STYLE}</style>",
        f"<h1>The run is <span class='{word}'>{word}</span></h1>",
        f"<ul class='red'>{''.join(faults)}</ul>" if faults else "<p>No check found a fault.</p>",
        "<h2>Spending in the trailing window</h2>",
        *(_limit_chart(run, limit) for limit in run.agreement.limits),
        "<h2>The quiet tenant's latency</h2>",
        _latency_table(judgement["latency_ms"]),
        _latency_chart(run),
        "<h2>Answers a second</h2>",
        _rate_chart(run),
        "<h2>Answers by kind of request</h2>",
        _table(["request", "answers"], [[kind, _counted(found)] for kind, found in judgement["answers"].items()]),
        "<h2>Records in the log</h2>",
        _table(["outcome", "records"], [[name, str(count)] for name, count in sorted(judgement["records"].items())]),
        "</html>",
    ]
    return "\n".join(parts)


def _limit_chart(run: Run, limit: Limit) -> str:
    """How much was certainly spent in the window that ends at each instant, and the amount that is allowed."""
    points = certain_spending(costs_of(limit, run.answers), limit.window_seconds)
    title = f"{limit.name}: {limit.amount} {limit.unit} in {limit.window_seconds:g} s"
    return _chart(title, {"#1b7f5c": points}, line=float(limit.amount))


def _latency_chart(run: Run) -> str:
    colors = dict(zip(("#1b7f5c", "#3b6ea5"), QUIET, strict=True))
    series = {
        color: [(each.sent, each.latency_ms) for each in run.answers if each.kind == kind]
        for color, kind in colors.items()
    }
    return _chart("ms of each request: single rows green, batches blue", series, is_dots=True)


def _rate_chart(run: Run) -> str:
    during = [each for each in run.answers if each.kind != "before"]
    right = Counter(int(each.received) for each in during if each.status in {200, 201})
    refused = Counter(int(each.received) for each in during if each.status >= 400)
    return _chart("served green, refused red", {"#1b7f5c": sorted(right.items()), "#b3261e": sorted(refused.items())})


def _chart(title: str, series: dict[str, Points], *, line: float | None = None, is_dots: bool = False) -> str:
    points = [point for each in series.values() for point in each]
    if not points:
        return f"<p>{escape(title)}: nothing was answered.</p>"
    start, end = min(x for x, _ in points), max(x for x, _ in points)
    top = max([y for _, y in points] + ([line] if line else [])) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - start) / ((end - start) or 1.0) * (WIDTH - EDGE - 10)
        return EDGE + across, HEIGHT - 20 - y / top * (HEIGHT - 45)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img"><title>{escape(title)}</title>']
    parts.append(f'<text x="{EDGE}" y="12">{escape(title)}</text>')
    parts.append(f'<text x="2" y="30">{top:,.0f}</text><text x="2" y="{HEIGHT - 20}">0</text>')
    parts.append(f'<text x="{WIDTH - 40}" y="{HEIGHT - 4}">{end - start:.0f} s</text>')
    if line is not None:
        _, y = place(start, line)
        parts.append(f'<path d="M{EDGE} {y:.1f}H{WIDTH - 10}" stroke="#b3261e" stroke-dasharray="4"/>')
    for color, each in series.items():
        places = [place(x, y) for x, y in each]
        if is_dots:
            dots = "".join(f"M{x:.1f} {y:.1f}h.01" for x, y in places)
            parts.append(f'<path d="{dots}" stroke="{color}" stroke-width="2.5" stroke-linecap="round" opacity=".5"/>')
        else:
            shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{shown}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    return "".join([*parts, "</svg>"])


def _latency_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = [
        [kind, phase, *(f"{each[name]:.1f}" for name in ("p50", "p95", "p99"))]
        for kind, phases in found.items()
        for phase, each in phases.items()
    ]
    return _table(["request", "phase", "p50 ms", "p95 ms", "p99 ms"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{words}: {times}" for words, times in sorted(found.items()))
