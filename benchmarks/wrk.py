"""Runs `wrk` on the client's core, and checks every answer that it got."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.dialects import Dialect, Question
from benchmarks.work import TOLERANCE, Model

SCRIPT = Path(__file__).with_name("wrk.lua")


class WrongAnswer(Exception):
    """A server answered what scikit-learn does not."""


class NoAnswer(Exception):
    """A server answered nothing in the time that it had."""


class Load(NamedTuple):
    """One measurement: answers, seconds, and latencies in milliseconds."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    longest_ms: float


def is_there() -> bool:
    return shutil.which("wrk") is not None


def check(dialect: Dialect, model: Model, asked: Question, answer: bytes) -> int:
    """The number of the body to which this is the right answer; raises `WrongAnswer` where it is to none."""
    try:
        rows = dialect.answer(model, json.loads(answer))
    except (ValueError, KeyError, TypeError) as error:
        raise WrongAnswer(f"{asked.path}: {answer[:200]!r}") from error
    for number, expected in enumerate(asked.expected):
        if len(rows) == len(expected) and all(
            _is_right(model, row, each) for row, each in zip(rows, expected, strict=True)
        ):
            return number
    raise WrongAnswer(f"{asked.path}: {answer[:200]!r}")


def _is_right(model: Model, row: tuple[object, list[float]], expected: list[float]) -> bool:
    label, probabilities = row
    return label in {None, model.labels[expected.index(max(expected))]} and all(
        abs(one - other) <= TOLERANCE for one, other in zip(probabilities, expected, strict=True)
    )


def run(
    port: int,
    dialect: Dialect,
    model: Model,
    asked: Question,
    headers: dict[str, str],
    *,
    connections: int,
    seconds: int,
) -> Load:
    """Loads a server for so long; raises `WrongAnswer` for the first answer that is not right."""
    with tempfile.TemporaryDirectory() as name:
        script, output = Path(name) / "asked.lua", Path(name) / "answers"
        script.write_bytes(_lua(dialect, asked, headers, output))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
        command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(script)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        head, _, answers = output.read_bytes().partition(b"\n")
    found, took_us, lost, p50, p99, longest = map(int, head.split())
    if lost:
        raise WrongAnswer(f"{asked.path}: {lost} requests got no answer")
    if not found:
        raise NoAnswer(f"{asked.path}: no answer within {seconds} s: give `--seconds` more")
    _check_all(dialect, model, asked, answers, connections)
    return Load(found, took_us / 1e6, p50 / 1e3, p99 / 1e3, longest / 1e3)


def _check_all(dialect: Dialect, model: Model, asked: Question, answers: bytes, connections: int) -> None:
    counts: Counter[int] = Counter(dict.fromkeys(range(len(asked.bodies)), 0))
    while answers:
        head, _, rest = answers.partition(b"\n")
        count, length = map(int, head.split())
        status, _, body = rest[:length].partition(b" ")
        if status != b"200":
            raise WrongAnswer(f"{asked.path}: {status.decode()} {body[:200]!r}")
        counts[check(dialect, model, asked, body)] += count
        answers = rest[length + 1 :]
    # The bodies are asked in turn: an answer that went to the wrong caller is right for another body, but one too many.
    if max(counts.values()) - min(counts.values()) > connections + 1:
        raise WrongAnswer(f"{asked.path}: the bodies were answered {counts} times")


def _lua(dialect: Dialect, asked: Question, headers: dict[str, str], output: Path) -> bytes:
    def quoted(text: str) -> str:
        return f"[==[{text}]==]"

    named = ", ".join(f"[ {quoted(name)} ] = {quoted(value)}" for name, value in headers.items())
    bodies = ", ".join(quoted(body.decode()) for body in asked.bodies)
    fields = f"path = {quoted(asked.path)}, headers = {{{named}}}, varies = {quoted(dialect.varies)}"
    return f"return {{{fields}, output = {quoted(os.fspath(output))}, bodies = {{{bodies}}}}}".encode()
