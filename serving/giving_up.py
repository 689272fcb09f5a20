"""Work that is given up when its caller hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from serving.facts import ClientGone

T = TypeVar("T")


async def unless_gone(hung_up: Awaitable[None], work: Awaitable[T]) -> T:
    """The result of the work. If the caller hangs up first, cancels the work and raises `ClientGone`."""
    working, listening = asyncio.ensure_future(work), asyncio.ensure_future(hung_up)
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        listening.cancel()
