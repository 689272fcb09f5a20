"""The results as a picture: a bar for each server and work, as SVG that needs no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.measured import Measured

WIDTH, LEFT, RIGHT = 820, 190, 80
BAR, GAP, TITLE = 16, 5, 34
OURS, OTHERS = "#1b7f5c", "#8fa3b0"
STYLE = "text{font:12px sans-serif;fill:#555}.title{font-weight:bold}"


def svg(measured: Measured, works: Sequence[str], names: Sequence[str]) -> str:
    """Answers a second: one group for each work, each with a scale of its own."""
    parts, top = [], 10
    for work in works:
        bars = [(name, found["per_second"]) for name in names if (found := measured.median(work, name))]
        if bars:
            parts.append(f'<text class="title" x="8" y="{top + 16}">{escape(work)}: answers a second</text>')
            top += TITLE - 8
            most = max(value for _, value in bars)
            for name, value in bars:
                parts.append(_bar(name, value, value / most, top))
                top += BAR + GAP
            top += 12
    body = "\n".join(parts)
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    return f"<svg {box}>\n<style>{STYLE}</style>\n{body}\n</svg>\n"


def _bar(name: str, value: float, share: float, top: int) -> str:
    length = share * (WIDTH - LEFT - RIGHT)
    color = OURS if name == "Adyton" else OTHERS
    middle = top + BAR - 4
    return (
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2" fill="{color}"/>'
        f'<text x="{LEFT + length + 6:.1f}" y="{middle}">{value:,.0f}</text>'
    )
