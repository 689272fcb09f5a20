"""Examines a model file in a process of its own.

A file is somebody else's work, and opening one may run code, fill the memory or never end. The process knows no secret
and no database, has a bound on memory, and is killed when its time is up. It ends with the process that started it,
however that ends. The folder that the two share goes with them: the next examination removes it at the latest.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from examination.orders import Examined, Order, RefusedModel
from inference.report import CompilationReport

FOLDER_PREFIX = "adyton-examination-"
#: Signals that end a command at once, unless it handles them.
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

#: No module of ours is its `__main__`: a model that was saved in a notebook names its code so, and must find none.
_START = "import examination.inside; examination.inside.start()"


class _Signalled(BaseException):
    """A signal that ends this process came while the other one examined."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def examine_apart(model: bytes, sample: bytes | None, order: Order, *, limit_seconds: float) -> Examined:
    """The result of `examine`, from a process of its own.

    Raises `RefusedModel`, also where the file brings that process down.
    """
    try:
        with _signals_raised(), _meeting_folder() as folder:
            (folder / "model").write_bytes(model)
            if sample is not None:
                (folder / "sample").write_bytes(sample)
            sha256 = hashlib.sha256(model).hexdigest()
            (folder / "order.json").write_text(json.dumps({**asdict(order), "sha256": sha256}))
            return _result(folder, _run(folder, limit_seconds))
    except _Signalled as signalled:
        _end_by(signalled.number)


def _run(folder: Path, limit_seconds: float) -> int:
    """The exit code of the process that examines. Raises `RefusedModel` if it does not end in time."""
    command = [sys.executable, "-P", "-c", _START, str(folder), str(os.getpid())]
    # Nothing of ours is in its environment: no secret, no address of a database.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": _import_path()}
    process = subprocess.Popen(  # noqa: S603  the command is ours
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        raise RefusedModel(f"the model's examination did not end in {limit_seconds:g} s") from None
    finally:
        # It leads a group of its own: whatever a model has started ends with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _import_path() -> str:
    """The folder of this program's own code, so that the other process finds the same."""
    return str(Path(__file__).parents[1])


def _result(folder: Path, code: int) -> Examined:
    try:
        found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        raise RefusedModel(f"the model brought its examination down (exit code {code})") from None
    if "refused" in found:
        raise RefusedModel(found["refused"])
    compiled = folder / "compiled"
    report = CompilationReport.from_stored(found["report"])
    return Examined(found["row_schema"], report, compiled.read_bytes() if compiled.exists() else None)


@contextmanager
def _meeting_folder() -> Iterator[Path]:
    """A folder for one examination, locked for as long as it is in use; those that nobody holds are removed."""
    _remove_leftovers()
    folder, descriptor = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        # Another examination may have taken it for a leftover before it was locked.
        descriptor = _lock(folder)
        if descriptor is not None:
            return folder, descriptor


def _remove_leftovers() -> None:
    """Removes the folders of examinations whose processes were killed: the system has let their locks go."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        descriptor = _lock(folder)
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds a folder's lock; None if the folder is gone, is another user's, or is locked."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and found.st_nlink > 0 and folder.exists():
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Raises `_Signalled` for signals that would end this process before it has cleared up.

    A server has handlers of its own, and examines in a thread, where no signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in _ENDING if signal.getsignal(number) in defaults}

    def end(number: int, _frame: object) -> NoReturn:
        # A second signal must not disturb the clearing up.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise _Signalled(number)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by(number: int) -> NoReturn:
    """Ends as the signal would have: whoever waits for this process sees which it was."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.raise_signal(number)
    raise SystemExit(128 + number)
