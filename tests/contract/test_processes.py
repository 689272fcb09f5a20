"""What tests start ends with them, whatever ends them."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tests.support import processes
from tests.support.patience import until

#: Starts a process that starts another one, says which, and never ends by itself.
PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session={is_apart}).pid, flush=True)
time.sleep(3600)
"""
#: Tests that start that, and are killed.
TESTS = """
import sys, time
from tests.support import processes
process = processes.start([sys.executable, "-c", {parent!r}])
print(process.pid, flush=True)
time.sleep(3600)
"""


def are_gone(*pids) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


@pytest.mark.parametrize("is_apart", [True, False])
def test_ending_a_process_ends_what_it_started(is_apart):
    """Also what has left its session."""
    process = processes.start(
        [sys.executable, "-c", PARENT.format(is_apart=is_apart)], stdout=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    processes.end(process)
    assert are_gone(process.pid)
    until(lambda: are_gone(child))


def test_what_was_started_ends_when_the_tests_are_killed():
    """Even by a signal that they cannot see."""
    program = TESTS.format(parent=PARENT.format(is_apart=True))
    tests = processes.start([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        pids = [int(tests.stdout.readline()) for _ in range(2)]
        assert not are_gone(*pids)
        tests.kill()
        until(lambda: are_gone(*pids))
    finally:
        processes.end(tests)


def test_a_command_that_takes_too_long_is_ended():
    """And whoever waited is told."""
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run([sys.executable, "-c", "import time; time.sleep(3600)"], seconds=0.5)
    assert not [each for each in processes.left_behind() if "3600" in each]
