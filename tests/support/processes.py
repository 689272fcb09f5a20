"""Processes that tests start: each is ended whatever happens, and with it all that it started itself."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

GUARD = Path(__file__).with_name("guard.py")


def start(command, **options) -> subprocess.Popen:
    """A process in a session of its own; the guard ends it if the tests are killed before they have."""
    return watch(subprocess.Popen(command, start_new_session=True, **options))


def watch(process):
    """Has the guard end a process that leads a session of its own."""
    _tell(f"+{process.pid}")
    return process


def run(command, *, seconds: float = 300, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end and returns what it wrote, as text; ends it when its time is up."""
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        output, error = process.communicate(timeout=seconds)
    finally:
        end(process)
    return subprocess.CompletedProcess(command, process.returncode, output, error)


def end(process) -> None:
    """Kills it, if it still runs, and all that it started."""
    kill_family(process.pid)
    process.wait()
    for name in ("stdin", "stdout", "stderr"):
        if (stream := getattr(process, name, None)) is not None:
            stream.close()
    _tell(f"-{process.pid}")


def kill_family(pid: int) -> None:
    """Kills the process and what it started, whether that still has it as parent or only shares its session."""
    members = [each for each in psutil.process_iter() if _session_of(each.pid) == pid]
    with contextlib.suppress(psutil.NoSuchProcess):
        members += [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for each in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def left_behind() -> list[str]:
    """What this process started, or what that started, and nobody has ended."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = " ".join(each.cmdline())
            # Python's own helpers of `multiprocessing` end with this process; what is forked from them is the tests'.
            is_helper = each.ppid() == os.getpid() and re.search("resource_tracker|forkserver", words)
            if words and str(GUARD) not in words and not is_helper:
                found.append(f"{each.pid}: {words}")
    return found


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


@cache
def _guard() -> subprocess.Popen:
    guard = subprocess.Popen([sys.executable, str(GUARD)], stdin=subprocess.PIPE, start_new_session=True, text=True)
    atexit.register(guard.communicate)
    return guard


def _tell(line: str) -> None:
    guard = _guard()
    guard.stdin.write(f"{line}\n")
    guard.stdin.flush()
