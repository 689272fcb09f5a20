"""A registration that is ended: the process that examines ends with it, and the files that they shared are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examination.apart import FOLDER_PREFIX, examine_apart
from examination.orders import Order, RefusedModel
from tests.support.site import dumped
from tests.support.toy_models import HangsAtOnce

ROOT = Path(__file__).parents[2]
SECONDS = 60
PROGRAM = """
import sys
from pathlib import Path
from examination.apart import examine_apart
from examination.orders import Order, RefusedModel
examine_apart(Path(sys.argv[1]).read_bytes(), None, Order("joblib"), limit_seconds=600)
"""


class Spawns:
    """Starts another process when it is opened."""

    def __init__(self, *command):
        self.command = command

    def __reduce__(self):
        return subprocess.Popen, (list(self.command),)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of the test's own, where everything that it starts has its files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    for process_id in running(str(folder)):
        os.kill(process_id, signal.SIGKILL)


def running(words: str) -> list[int]:
    """The processes whose command line holds the words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def until(is_so, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def examining(temporary) -> int:
    return len(running(f"{temporary}/{FOLDER_PREFIX}"))


@pytest.fixture
def start(temporary):
    """Starts a command, and returns it once another process examines for it."""
    processes = []

    def start(command, environment):
        before = examining(temporary)
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        processes.append(process)
        until(lambda: examining(temporary) > before or process.poll() is not None)
        assert process.poll() is None
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def examine(start, tmp_path):
    """Starts an examination that never ends."""
    model = tmp_path / "model"
    model.write_bytes(dumped(HangsAtOnce()))
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    return lambda: start([sys.executable, "-c", PROGRAM, str(model)], environment)


def test_a_command_that_is_terminated_leaves_nothing(site, start, temporary):
    """`adyton models register`, with SIGTERM: no model and no sample in the temporary folder, no process."""
    model = site.directory / "hangs.joblib"
    model.write_bytes(dumped(HangsAtOnce()))
    command = [sys.executable, "-m", "cli", "models", "register", "hangs", str(model)]
    process = start(command, site.environment() | {"TMPDIR": str(temporary)})
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == -signal.SIGTERM
    until(lambda: not examining(temporary))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_every_signal_that_ends_it_puts_everything_away(examine, temporary, number):
    """And it ends by that signal, as whoever waits for it expects."""
    process = examine()
    process.send_signal(number)
    assert process.wait(SECONDS) == -number
    until(lambda: not examining(temporary))
    assert list(temporary.iterdir()) == []


def test_what_was_killed_is_put_away_by_the_next(examine, temporary):
    """Killed, nobody can put anything away: the process ends by itself, the files go with the next examination.

    Those of an examination that runs stay.
    """
    killed = examine()
    (left,) = temporary.iterdir()
    killed.kill()
    killed.wait(SECONDS)
    until(lambda: not examining(temporary))
    assert left.exists()
    other = examine()
    until(lambda: not left.exists())
    (runs,) = temporary.iterdir()
    third = examine()
    assert runs.exists()
    assert len(list(temporary.iterdir())) == 2
    for process in (other, third):
        process.terminate()
        process.wait(SECONDS)
    assert list(temporary.iterdir()) == []


def test_what_a_model_started_ends_with_its_examination(temporary):
    """A file that starts a process of its own when it is opened does not leave it behind."""
    mark = f"import time; time.sleep(600) # {temporary}"
    with pytest.raises(RefusedModel):
        examine_apart(dumped(Spawns(sys.executable, "-c", mark)), None, Order("joblib"), limit_seconds=60)
    until(lambda: not running(mark))
    assert list(temporary.iterdir()) == []
