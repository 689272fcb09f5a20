"""The supervisor starts, replaces, renews and ends workers, whatever becomes of them or of itself; real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from program.supervisor import LONGEST_PAUSE_SECONDS, MOST_FAILED_STARTS, Supervisor
from tests.support import processes
from tests.support.patience import until

ROOT = Path(__file__).parents[2]
#: Says on standard output what happens. `{work}` is what a worker does before it serves.
PROGRAM = """
import asyncio, os, signal, sys, time
from program.log_output import configure_logs
from program.supervisor import NeverServed, Supervisor

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def serve(worker):
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    worker.on_ended = lambda ids: say("told", worker.post.number, *ids)
    worker.begin()
    say("serves", worker.post.number, os.getpid(), worker.post.id, *worker.post.ended)
    await ended.wait()
    say("ends", worker.post.number, os.getpid())

def work(worker):
    say("starts", worker.post.number, os.getpid())
    {work}
    asyncio.run(serve(worker))

configure_logs("json", "info")
try:
    Supervisor({count}, work, stop_seconds={stop_seconds}).run()
except NeverServed as reason:
    say("never", reason)
    sys.exit(1)
say("over")
"""
#: Does not start while this file is in the working directory.
FAILS_WHERE_TOLD = "os.path.exists('broken') and os._exit(3)"


class Crew:
    """A supervisor with workers, and the words that they have said so far."""

    def __init__(self, directory, work="pass", count=2, stop_seconds=60) -> None:
        self.directory, self._output = directory, directory / "output"
        program = PROGRAM.format(work=work, count=count, stop_seconds=stop_seconds)
        with self._output.open("wb") as output, (directory / "log").open("wb") as log:
            self.process = processes.start(
                [sys.executable, "-c", program],
                stdout=output, stderr=log, cwd=directory, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def said(self, *words) -> list[list[str]]:
        """Every line that begins with these words."""
        begin = [str(word) for word in words]
        lines = [line.split() for line in self._output.read_text().splitlines()]
        return [line for line in lines if line[: len(begin)] == begin]

    def wait_for(self, count, *words) -> list[list[str]]:
        until(lambda: len(self.said(*words)) >= count or self.process.poll() is not None)
        found = self.said(*words)
        assert len(found) >= count, (self._output.read_text(), self.log())
        return found

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def send(self, number) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        return self.process.wait(60)


@pytest.fixture
def crew(tmp_path):
    started = []

    def start(*arguments, **options) -> Crew:
        started.append(Crew(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        processes.end(each.process)


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]]
)
def test_a_signal_ends_all_workers_and_then_the_supervisor(crew, numbers):
    """With 0; a second signal changes nothing."""
    workers = crew()
    workers.wait_for(2, "serves")
    for number in numbers:
        workers.send(number)
    assert workers.end() == 0
    assert sorted(number for _, number, _ in workers.said("ends")) == ["1", "2"]
    assert workers.said("over")


def test_a_worker_that_dies_is_replaced(crew):
    """Its successor has its number and knows its id, which the other workers are told at once."""
    workers = crew()
    first, second = sorted(workers.wait_for(2, "serves"))
    os.kill(int(first[2]), signal.SIGKILL)
    _, number, _, _, *ended = workers.wait_for(3, "serves")[2]
    assert (number, ended) == ("1", [first[3]])
    assert workers.wait_for(1, "told", 2) == [["told", "2", first[3]]]
    # Whoever starts after that successor finds the chain cited.
    os.kill(int(second[2]), signal.SIGKILL)
    assert workers.wait_for(4, "serves")[3][4:] == [second[3]]


def test_renewing_starts_each_successor_before_its_predecessor_ends(crew):
    """One by one: the second is renewed when the first has ended."""
    workers = crew()
    old = {each[2] for each in workers.wait_for(2, "serves")}
    workers.send(signal.SIGHUP)
    workers.wait_for(2, "ends")
    until(lambda: workers.log().count(") ended") == 2)
    happened = re.findall(r"worker (\d) \(process (\d+)\) (serves|ended)", workers.log())[2:]
    assert [word for _, _, word in happened] == ["serves", "ended", "serves", "ended"]
    assert [number for number, _, _ in happened] in (["1", "1", "2", "2"], ["2", "2", "1", "1"])
    assert {pid for _, pid, word in happened if word == "ended"} == old


def test_a_successor_that_does_not_start_leaves_the_others_serving(crew):
    """And a later signal renews them, when it can."""
    workers = crew(FAILS_WHERE_TOLD)
    old = {each[2] for each in workers.wait_for(2, "serves")}
    (workers.directory / "broken").touch()
    workers.send(signal.SIGHUP)
    until(lambda: "does not start" in workers.log())
    assert not workers.said("ends")
    (workers.directory / "broken").unlink()
    workers.send(signal.SIGHUP)
    workers.wait_for(2, "ends")
    assert {each[2] for each in workers.said("ends")} == old


def test_a_worker_that_does_not_start_any_more_is_tried_again(crew):
    """The other goes on meanwhile."""
    workers = crew(FAILS_WHERE_TOLD)
    first, _ = sorted(workers.wait_for(2, "serves"))
    (workers.directory / "broken").touch()
    os.kill(int(first[2]), signal.SIGKILL)
    workers.wait_for(4, "starts")
    (workers.directory / "broken").unlink()
    workers.wait_for(3, "serves")
    assert not workers.said("ends")


def test_each_failed_start_is_followed_by_a_longer_pause():
    """None after the first, then up to half a minute."""
    supervisor = Supervisor(2, lambda _worker: None, stop_seconds=1)
    supervisor._has_served = True
    pauses = []
    for _ in range(9):
        before = time.monotonic()
        supervisor._note_failure(1, "a reason")
        pauses.append(supervisor._starts[1][1] - before)
    wanted = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, *[LONGEST_PAUSE_SECONDS] * 3]
    assert all(pause >= least for pause, least in zip(pauses, wanted, strict=True))
    assert supervisor._starts[2] == (0, 0.0)


def test_a_supervisor_whose_workers_refuse_to_serve_says_why(crew):
    """Once, with the first worker's words, and at once."""
    workers = crew("worker.refuse('the secret is weak'); sys.exit(1)")
    assert workers.end() == 1
    assert workers.said("never") == [["never", "the", "secret", "is", "weak"]]
    assert len(workers.said("starts")) <= 2


def test_a_supervisor_whose_workers_never_start_gives_up(crew):
    """After a few, and says how they ended."""
    workers = crew("os.kill(os.getpid(), signal.SIGKILL)")
    assert workers.end() == 1
    assert workers.said("never")[0][-3:] == ["by", "signal", "9"]
    assert len(workers.said("starts", 1)) <= MOST_FAILED_STARTS


def test_workers_end_when_their_supervisor_is_killed(crew):
    """Each finishes what is under way, as after SIGTERM."""
    workers = crew()
    workers.wait_for(2, "serves")
    workers.process.kill()
    until(lambda: len(workers.said("ends")) == 2)
    assert not workers.said("over")


def test_a_worker_that_does_not_end_in_time_is_killed(crew):
    """And the supervisor still ends with 0."""
    workers = crew(
        "import atexit; worker.live = lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        stop_seconds=0.5,
    )
    workers.wait_for(2, "serves")
    workers.send(signal.SIGTERM)
    assert workers.end() == 0
    assert workers.log().count("did not end in time") == 2


def test_a_worker_that_hangs_holds_nobody_up(crew):
    """The supervisor goes on replacing the other one, of which it cannot tell the first."""
    workers = crew()
    first, second = sorted(workers.wait_for(2, "serves"))
    os.kill(int(first[2]), signal.SIGSTOP)
    try:
        os.kill(int(second[2]), signal.SIGKILL)
        workers.wait_for(3, "serves")
    finally:
        os.kill(int(first[2]), signal.SIGCONT)
    assert workers.wait_for(1, "told", 1)[0][2] == second[3]


def test_a_worker_ignores_what_a_terminal_sends_to_all(crew):
    """SIGINT and SIGHUP reach every process of a command; only the supervisor decides about them."""
    workers = crew()
    pids = [int(each[2]) for each in workers.wait_for(2, "serves")]
    for pid in pids:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    workers.send(signal.SIGTERM)
    assert workers.end() == 0
    assert len(workers.said("ends")) == 2


def test_a_forked_worker_holds_nothing_of_the_supervisors_open(crew):
    """Otherwise no worker would notice that the supervisor is gone."""
    workers = crew()
    pids = [each[2] for each in workers.wait_for(2, "serves")]
    sockets = [
        {each.readlink().name for each in Path(f"/proc/{pid}/fd").iterdir()}
        for pid in [str(workers.process.pid), *pids]
    ]
    for of_worker in sockets[1:]:
        assert not [name for name in sockets[0] & of_worker if name.startswith("socket:")]


def test_a_command_that_fails_prints_no_trace_of_the_supervisor(crew):
    """An error in a worker is logged there, with its type and lines of code, and the supervisor gives up."""
    workers = crew("{}['a secret']")
    assert workers.end() == 1
    assert '"error":"KeyError"' in workers.log()
    assert "a secret" not in workers.log()
    assert isinstance(workers.process, subprocess.Popen)
