"""Many connections that predict without pause, survive a server's death, and remember their answers."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from typing import Self

from tests.support.site import IRIS


class Traffic:
    """Asks in a closed loop on `connections` connections, in a thread of its own, until the `with` block ends."""

    def __init__(self, port, key, *, connections=64, row=IRIS, path="/v1/models/iris/predict", pause=0.0) -> None:
        body = json.dumps(row).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._port, self._connections, self._pause = port, connections, pause
        self.answered: list[str] = []
        self.statuses: Counter[int] = Counter()
        #: Requests that were sent whole on a connection that then ended without their answer.
        self.unanswered = 0
        self.refused_connections = 0
        self.slowest_seconds = 0.0
        self.answered_at: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for(self, answers: int, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while len(self.answered) < answers:
            assert time.monotonic() < deadline, f"{len(self.answered)} of {answers} answers, {dict(self.statuses)}"
            time.sleep(0.01)

    async def _run(self) -> None:
        await asyncio.gather(*(self._connect() for _ in range(self._connections)))

    async def _connect(self) -> None:
        while not self._is_over.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self.refused_connections += 1
                await asyncio.sleep(0.02)
                continue
            try:
                await self._ask(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                self.unanswered += 1
            finally:
                writer.close()

    async def _ask(self, reader, writer) -> None:
        while not self._is_over.is_set():
            started = time.perf_counter()
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            body = await reader.readexactly(length)
            status = int(head[9:12])
            self.statuses[status] += 1
            if status == 200:
                self.answered.append(json.loads(body)["request_id"])
                self.answered_at.append(time.monotonic())
                self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - started)
            if "connection: close" in head:
                return
            if self._pause:
                await asyncio.sleep(self._pause)
