"""Requests that are sent whole but for their last byte, which is sent when the test says so."""

from __future__ import annotations

import asyncio


class SlowSender:
    """One request; `headers` name its credential and its content type."""

    def __init__(self, client, method, path, body: bytes, headers) -> None:
        self._awaits_last_byte, self._may_end = asyncio.Event(), asyncio.Event()
        self._body = body
        headers = dict(headers) | {"Content-Length": str(len(body))}
        self._answer = asyncio.ensure_future(client.request(method, path, content=self._chunks(), headers=headers))

    async def _chunks(self):
        yield self._body[:-1]
        # The application asks for more: it has accepted the head and read all the rest.
        self._awaits_last_byte.set()
        await self._may_end.wait()
        yield self._body[-1:]

    async def begun(self) -> None:
        """Waits until the application lacks only the last byte; fails if it answered without it."""
        waiting = asyncio.ensure_future(self._awaits_last_byte.wait())
        await asyncio.wait([waiting, self._answer], return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), f"answered at once: {self._answer.result().text}"

    async def finished(self):
        """Sends the last byte; returns the answer."""
        self._may_end.set()
        return await self._answer
