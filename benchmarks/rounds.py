"""Interleaved rounds: each server in turn does each work, while the others are stopped."""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks import servers, wrk
from benchmarks.contenders import Contender
from benchmarks.dialects import Question, question
from benchmarks.measured import Measured
from benchmarks.work import Model, Work, make_models

READY_SECONDS = 60


@dataclass
class Running:
    """A contender that runs."""

    contender: Contender
    server: servers.Server
    questions: dict[str, Question] = field(default_factory=dict)


def measure(contenders: Sequence[Contender], works: Sequence[Work], *, seconds: int, rounds: int) -> Measured:
    """Starts all, and measures them in turn.

    A peer that does not start, or that once answers what scikit-learn does not, is named and left out of that work. One
    of our own servers that does so ends the run.
    """
    if not wrk.is_there():
        sys.exit("the benchmarks need `wrk` (on Debian and Ubuntu: apt-get install wrk)")
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    measured = Measured()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "models").mkdir()
        models = make_models(directory / "models")
        runners = []
        for number, contender in enumerate(contenders):
            with _faults_of(contender, measured, [work.name for work in works]):
                runners.append(_start(stack, contender, models, works, directory / f"server-{number}"))
        for number in range(rounds):
            # Each round begins with another of them: who comes first is nobody's advantage.
            turned = runners[number % len(runners) :] + runners[: number % len(runners)]
            for work, runner in product(works, turned):
                place = work.name, runner.contender.name
                if work.name in runner.questions and place not in measured.faults:
                    with _faults_of(runner.contender, measured, [work.name]):
                        found = _measure(runner, work, models[work.model], seconds, warm=number == 0)
                        measured.rounds.setdefault(place, []).append(found)
            print(f"round {number + 1} of {rounds} is done", file=sys.stderr)
    return measured


@contextmanager
def _faults_of(contender: Contender, measured: Measured, works: Sequence[str]) -> Iterator[None]:
    """Names a peer's fault, and takes out what was measured of it."""
    try:
        yield
    except (RuntimeError, wrk.WrongAnswer, wrk.NoAnswer) as error:
        if not contender.home:
            raise
        for work in works:
            measured.faults[work, contender.name] = str(error)
            measured.rounds.pop((work, contender.name), None)
        print(f"{contender.name} is left out of {', '.join(works)}: {error}", file=sys.stderr)


def _start(
    stack: ExitStack, contender: Contender, models: dict[str, Model], works: Sequence[Work], directory: Path
) -> Running:
    server = stack.enter_context(contender.start(directory.parent / "models", directory))
    running = Running(contender, server)
    try:
        for work in works:
            if contender.dialect.serves(work):
                running.questions[work.name] = question(contender.dialect, work, models[work.model])
                _ask_each(running, work, models[work.model])
    finally:
        # Until its turn comes, so that it disturbs none of the others.
        server.stop()
    print(f"{contender.name} runs", file=sys.stderr)
    return running


def _measure(running: Running, work: Work, model: Model, seconds: int, *, warm: bool) -> dict[str, float]:
    server, asked, dialect = running.server, running.questions[work.name], running.contender.dialect
    load = partial(wrk.run, server.port, dialect, model, asked, server.headers, connections=work.connections)
    server.go_on()
    try:
        if warm:
            _ask_each(running, work, model)
            with suppress(wrk.NoAnswer):
                load(seconds=1)
        # A load leaves requests behind of which nobody awaits the answer. These come after them: then all is done.
        _ask_each(running, work, model)
        before = server.cpu_seconds()
        found = load(seconds=seconds)
        cpu_seconds = server.cpu_seconds() - before
        memory = server.memory_bytes()
    finally:
        server.stop()
    figures = {"per_second": found.answers / found.seconds, "p50_ms": found.p50_ms, "p99_ms": found.p99_ms}
    figures |= {"longest_ms": found.longest_ms, "cpu_us": cpu_seconds / found.answers * 1e6, "memory_mb": memory / 1e6}
    # Less than 1 where the server waits, or where other work of the machine takes its core.
    return figures | {"core_share": cpu_seconds / found.seconds}


def _ask_each(running: Running, work: Work, model: Model) -> None:
    """Asks for each body until the server answers, and checks that each answer is the right one."""
    asked = running.questions[work.name]
    deadline = time.monotonic() + READY_SECONDS
    for number, body in enumerate(asked.bodies):
        while (answer := _ask(running.server, asked.path, body)) is None:
            if time.monotonic() > deadline:
                words = running.server.family.last_words()
                raise RuntimeError(f"{running.contender.name} does not answer {asked.path}: {words}")
            time.sleep(0.1)
        if wrk.check(running.contender.dialect, model, asked, answer) != number:
            raise wrk.WrongAnswer(f"{running.contender.name}: {asked.path}: another row's answer")


def _ask(server: servers.Server, path: str, body: bytes) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", path, body, server.headers)
        answer = connection.getresponse()
        content = answer.read()
    except OSError:
        return None
    finally:
        connection.close()
    # A server that was stopped for a while, or has not loaded its models yet, says so first.
    return content if answer.status == 200 else None
