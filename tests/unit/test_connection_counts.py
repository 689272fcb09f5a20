"""Who has more connections than another worker, and how their listener yields."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from api.http.accepting import SharedListener
from program.connection_counts import SILENT_SECONDS, ConnectionCounts
from tests.support.patience import become

COUNTS = 3


@pytest.fixture
def counts():
    return ConnectionCounts(COUNTS)


def test_the_excess_is_over_the_worker_with_the_fewest(counts):
    """Whatever the others have."""
    for entry, count in enumerate((5, 9, 2)):
        counts.note(entry, count)
        counts.live(entry)
    assert [counts.excess(entry, count) for entry, count in enumerate((5, 9, 2))] == [3, 7, 0]


def test_nobody_yields_to_a_worker_that_does_not_accept(counts):
    """It was never started, has stopped, or has given no sign of life."""
    counts.live(0)
    assert counts.excess(0, 7) == 0
    counts.live(1)
    assert counts.excess(0, 7) == 7
    counts.end(1)
    assert counts.excess(0, 7) == 0
    counts.live(1)
    counts._alive_at[1] = time.monotonic_ns() - int(2 * SILENT_SECONDS * 1e9)
    assert counts.excess(0, 7) == 0


class Connection(asyncio.Protocol):
    """Notes that it was opened, and that it was told to end."""

    def __init__(self, opened) -> None:
        self.opened, self.is_told = opened, False

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.opened.append(self)

    def shutdown(self) -> None:
        self.is_told = True


@pytest.fixture
def shared():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.mark.anyio
async def test_a_worker_with_more_connections_leaves_them_a_moment_to_the_others(shared):
    """And takes what nobody took."""
    opened, asked = [], []

    def excess(arriving) -> int:
        asked.append(arriving)
        return 3

    listener = SharedListener(shared.dup(), lambda: Connection(opened), excess)
    clients = [socket.create_connection(shared.getsockname()) for _ in range(4)]
    await become(lambda: _is(len(opened) == 4))
    # Each was seen before it was taken after a pause.
    assert len(asked) >= 4
    listener.close()
    await listener.wait_closed()
    for each in [*clients, *(connection.transport for connection in opened)]:
        each.close()


@pytest.mark.anyio
async def test_a_listener_that_closes_takes_what_waits_and_tells_it_to_end(shared):
    """If nobody else listens any more, the system would reset those connections."""
    opened = []
    listener = SharedListener(shared.dup(), lambda: Connection(opened), lambda _: 10**6)
    clients = [socket.create_connection(shared.getsockname()) for _ in range(4)]
    listener.close()
    await listener.wait_closed()
    assert len(opened) == 4
    assert all(each.is_told for each in opened)
    late = socket.create_connection(shared.getsockname())
    await asyncio.sleep(0.1)
    assert len(opened) == 4, "the socket itself is still open, for the others"
    for each in [late, *clients, *(connection.transport for connection in opened)]:
        each.close()


async def _is(fact) -> bool:
    return fact
