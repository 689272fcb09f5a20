"""Clients that ask again while the program cannot know its callers.

It lets nobody in when it has had no news of them for a second, and on a machine with much else to do that happens at
any time. It refuses so before it looks at anything, so that asking again is as if it had not been asked.
"""

from __future__ import annotations

import asyncio
import time

import httpx

#: For whatever a test waits for: no machine takes so long, and a test that fails may.
SECONDS = 60
PAUSE_SECONDS = 0.05


def is_without_news(status: int, body: bytes) -> bool:
    """Whether an answer says that the program has no news of its callers."""
    return status == 503 and b"directory-unavailable" in body


class PatientApplication(httpx.ASGITransport):
    """An application in this process."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + SECONDS
        while True:
            response = await super().handle_async_request(request)
            if not is_without_news(response.status_code, await response.aread()) or time.monotonic() > deadline:
                return response
            await asyncio.sleep(PAUSE_SECONDS)


class PatientConnections(httpx.HTTPTransport):
    """A server."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + SECONDS
        while True:
            response = super().handle_request(request)
            if not is_without_news(response.status_code, response.read()) or time.monotonic() > deadline:
                return response
            time.sleep(PAUSE_SECONDS)


def until(is_so, seconds: float = SECONDS) -> None:
    """Waits for a fact."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.01)


async def become(is_so, seconds: float = SECONDS) -> None:
    """Waits for a fact that is asked for on the event loop."""
    deadline = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.01)
