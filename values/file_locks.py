"""A lock among processes of one machine, on a file; the system takes it from a process that dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock that one process at a time has. The file is made, empty, where it does not exist."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_take(self) -> bool:
        """Returns whether this process has it now."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Ends the use of the file; a lock that is still taken is released."""
        os.close(self._descriptor)
