"""The results of a run as JSON, as a table and as a plot; `benchmarks/README.md` shows those of the last release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import environments, machine, plot, targets
from benchmarks.contenders import Contender
from benchmarks.measured import Measured
from benchmarks.work import WORK, Work

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN, END = "<!-- begin: made by benchmarks.peers -->", "<!-- end -->"


def document(measured: Measured, contenders: Sequence[Contender], *, seconds: int, rounds: int) -> dict[str, Any]:
    return {
        "machine": machine.describe(),
        "versions": {each.name: environments.versions(each.home, each.packages) for each in contenders},
        "seconds": seconds,
        "rounds": rounds,
        "results": measured.as_json(),
        "faults": [{"work": work, "server": name, "fault": words} for (work, name), words in measured.faults.items()],
    }


def tables(measured: Measured, names: Sequence[str]) -> str:
    """One table for each work."""
    return "\n\n".join(
        _table(measured, work, names) for work in WORK if any(measured.median(work.name, n) for n in names)
    )


def _table(measured: Measured, work: Work, names: Sequence[str]) -> str:
    lines = [f"**{work.name}**", ""]
    rows = " rows/s |" if work.rows > 1 else ""
    lines.append(f"| server | answers/s |{rows} p50 ms | p99 ms | CPU µs each | memory MB |")
    lines.append("|---|---|" + "---|" * (5 if work.rows > 1 else 4))
    for name in names:
        if found := measured.median(work.name, name):
            many = f" {found['per_second'] * work.rows:.0f} |" if work.rows > 1 else ""
            figures = (
                f"{found['p50_ms']:.2f} | {found['p99_ms']:.2f} | {found['cpu_us']:.0f} | {found['memory_mb']:.0f}"
            )
            lines.append(f"| {name} | {found['per_second']:.0f} |{many} {figures} |")
    return "\n".join(lines)


def write(directory: Path, made: dict[str, Any], name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    measured = Measured.of(made["results"])
    (directory / f"{name}.svg").write_text(plot.svg(measured, [work.name for work in WORK], list(made["versions"])))
    return path


def publish(made: dict[str, Any]) -> None:
    """Writes the results beside README.md, and its tables into it."""
    write(HERE, made, "peers")
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{_words(made)}\n{END}{after}")


def _words(made: dict[str, Any]) -> str:
    measured, on = Measured.of(made["results"]), made["machine"]
    faults = "".join(f"\n- {each['server']} has no figures for {each['work']}." for each in made["faults"])
    versions = "\n".join(
        f"- {name}: {', '.join(f'{package} {number}' for package, number in found.items())}"
        for name, found in made["versions"].items()
    )
    return (
        f"![Answers a second](peers.svg)\n\n{targets.table(measured)}\n\n{tables(measured, list(made['versions']))}\n\n"
        f"Measured {on['at'][:10]} on {on['cores']} cores of {on['processor']}, {on['system']}, Python {on['python']};"
        f" medians of {made['rounds']} rounds of {made['seconds']} s. All figures: `peers.json`.\n\n{versions}{faults}"
    )
