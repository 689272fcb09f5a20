"""Signals as something to wait for, beside other things."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Signals:
    """Within the block, signals of these kinds interrupt nothing: `read` returns those that came since it last did.

    It can be waited for as a file can. For the main thread.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = list(numbers)
        self._reader, self._writer = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def fileno(self) -> int:
        return self._reader.fileno()

    def read(self) -> list[signal.Signals]:
        with suppress(BlockingIOError):
            return [signal.Signals(byte) for byte in self._reader.recv(4096)]
        return []

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Self:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, lambda *_: None) for number in self._numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self.close()
