"""The log lines that docs/operations.md has operators wake for are those that the program writes."""

from __future__ import annotations

import re
from pathlib import Path

from values import alarms

ROOT = Path(__file__).parents[2]


def test_the_document_quotes_each_alarm_and_nothing_else():
    """The table under "Watch it"."""
    watch = (ROOT / "docs/operations.md").read_text().partition("## Watch it")[2].partition("\n## ")[0]
    assert set(re.findall(r"^  \| `([^`]+)` \|", watch, re.MULTILINE)) == set(alarms.ALARMS)


def test_each_alarm_is_logged_where_it_is_found_out():
    """By its name: a line that was written out elsewhere could change by itself."""
    names = {name for name, value in vars(alarms).items() if value in alarms.ALARMS}
    product = [
        path.read_text() for room in ("api", "audit", "inference", "program") for path in (ROOT / room).rglob("*.py")
    ]
    for name in names:
        assert any(re.search(rf"logger\.(error|critical)\([^)]*\b{name}\b", text) for text in product), name
    assert len(names) == len(alarms.ALARMS)
