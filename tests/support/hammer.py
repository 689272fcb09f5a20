"""Sends requests without pause to several servers at once; remembers when each was sent and how it was answered."""

from __future__ import annotations

import asyncio
import time
from typing import Self

PAUSE_SECONDS = 0.004
#: The pause after a refusal: without it the servers would throttle the address.
REFUSED_PAUSE_SECONDS = 0.05


class Hammer:
    """One connection for each server and credential; `answers` holds (server, credential, sent at, status)."""

    def __init__(self, ports: list[int], credentials: list[str], request: tuple[str, str, bytes]) -> None:
        self.answers: list[tuple[int, int, float, int]] = []
        self._ports, self._credentials = ports, credentials
        self._method, self._path, self._body = request
        self._is_over = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._ask(server, port, index, credential))
            for server, port in enumerate(self._ports)
            for index, credential in enumerate(self._credentials)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over.set()
        await asyncio.gather(*self._tasks)

    async def until(self, is_so, seconds: float) -> None:
        """Waits until `is_so` holds for the answers."""
        deadline = time.monotonic() + seconds
        while not is_so(self.answers):
            assert time.monotonic() < deadline, self.answers[-5:]
            await asyncio.sleep(0.01)

    async def _ask(self, server: int, port: int, index: int, credential: str) -> None:
        head = f"{self._method} {self._path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(self._body)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not self._is_over.is_set():
            sent_at = time.monotonic()
            writer.write(head.encode() + self._body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.split("content-length:")[1].split("\r\n")[0]))
            self.answers.append((server, index, sent_at, int(answer[9:12])))
            if "connection: close" in answer:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(PAUSE_SECONDS if " 200 " in answer[:16] else REFUSED_PAUSE_SECONDS)
        writer.close()
