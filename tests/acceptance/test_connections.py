"""A server whose files run out: whoever holds idle connections locks nobody out."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest

from tests.support.raw import post
from tests.support.server import Server
from tests.support.site import IRIS

pytestmark = pytest.mark.alone

FILES = 200
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"
BODY = json.dumps(IRIS).encode()


@pytest.fixture(scope="module")
def small(template, tmp_path_factory):
    """A server that may open 200 files, half of them for connections, and one address 25."""
    site = template.copy_to(tmp_path_factory.mktemp("small") / "site")
    server = Server(site, files=FILES)
    yield server, site.key()
    server.kill()
    site.close()


@pytest.fixture
def connected():
    """Connects to a server, from any loopback address; closes what it has opened with the test."""
    with contextlib.ExitStack() as stack:

        def connect(server, address: str = "127.0.0.1") -> socket.socket:
            made = socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=(address, 0))
            return stack.enter_context(made)

        yield connect


def answered(connection) -> bytes:
    """One answer, or nothing where the connection has ended."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < length_of(received):
            more = connection.recv(65536)
            if not more:
                break
            received += more
    return received


def length_of(received: bytes) -> int:
    return int(received.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def asked(connection, request: bytes = HEALTH + b"\r\n") -> bytes:
    connection.sendall(request)
    return answered(connection)


def is_open(connection) -> bool:
    """Whether the other side has not closed it; to be asked once everything before was answered."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        connection.settimeout(60)


def readiness(connection) -> dict:
    answer = asked(connection, b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    return json.loads(answer.partition(b"\r\n\r\n")[2])["checks"]


def test_idle_connections_of_one_address_lock_nobody_out(small, connected):
    """1,024 of them, used or not: they cost their own address the oldest ones, and never a request under way."""
    server, key = small
    head = connected(server)
    head.sendall(HEALTH)
    other = connected(server, "127.0.0.2")
    assert b" 200 " in asked(other)
    predict = post("/predict", key, b"", f"Content-Length: {len(BODY)}")
    slow = connected(server)
    slow.sendall(predict + BODY[:-1])
    held, most_files = [], 0
    for number in range(1024):
        held.append(connected(server))
        if number % 2:
            assert b" 200 " in asked(held[-1]), number
        if number % 64 == 0:
            most_files = max(most_files, server.open_files())
    assert b" 200 " in asked(connected(server)), "the same address gets in"
    assert b" 200 " in asked(connected(server, "127.0.0.3")), "and so does another one"
    assert most_files < FILES * 3 // 4
    assert readiness(other)["connections"] == "crowded"
    assert readiness(other)["log"] == "ok"
    assert b" 200 " in asked(head, b"\r\n"), "half a head is a request under way"
    assert b" 200 " in asked(slow, BODY[-1:]), "and so is half a body"
    assert sum(map(is_open, held)) <= 25
    assert "too many connections" in server.log.read_text()


def test_connections_at_work_are_refused_a_newcomer_with_an_answer(small, connected):
    """An address whose connections are all at work gets 503 for the next; others are served; a finished one frees it."""
    server, _ = small
    working = [connected(server, "127.0.0.4") for _ in range(25)]
    for each in working:
        each.sendall(HEALTH)
    # They are at work once the server has read that: another request is answered behind them.
    assert b" 200 " in asked(connected(server, "127.0.0.5"))
    refused = answered(connected(server, "127.0.0.4"))
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"/problems/too-many-connections" in refused
    assert b"retry-after: 1" in refused
    assert b" 200 " in asked(connected(server, "127.0.0.5"))
    assert b" 200 " in asked(working[0], b"\r\n")
    assert b" 200 " in asked(connected(server, "127.0.0.4"))
    assert all(b" 200 " in asked(each, b"\r\n") for each in working[1:])


def test_a_crowd_of_addresses_does_not_stop_the_log(small, connected):
    """As many as there may be, from everywhere: predictions are answered and recorded, and the newest gets in."""
    server, key = small
    crowd = [connected(server, f"127.0.1.{number % 60 + 1}") for number in range(300)]
    assert server.open_files() < FILES
    predict = post("/predict", key, BODY, f"Content-Length: {len(BODY)}")
    newest = connected(server, "127.0.2.1")
    for _ in range(5):
        assert b" 200 " in asked(newest, predict)
    assert readiness(newest)["connections"] in {"crowded", "unavailable"}
    assert len(crowd) == 300


def test_the_server_takes_connections_again_after_its_files_ran_out(small, connected):
    """Other files took the last ones: those who come meanwhile are turned away, those who come later are not."""
    server, _ = small
    waits = connected(server, "127.0.3.1")
    assert b" 200 " in asked(waits)
    server.limit_files(server.open_files())
    lost = [socket.socket() for _ in range(50)]
    for each in lost:
        each.setblocking(False)
        each.connect_ex(("127.0.0.1", server.port))
    assert b" 200 " in asked(waits), "who is in stays in"
    server.limit_files(FILES)
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            if b" 200 " in asked(connected(server, "127.0.3.2")):
                break
        assert time.monotonic() < deadline
    for each in lost:
        each.close()


def test_the_soft_limit_on_files_is_raised(template, tmp_path, connected):
    """A server that is started with fewer than the system allows takes what it allows."""
    site = template.copy_to(tmp_path / "site")
    server = Server(site, files=100, most_files=400)
    try:
        held = [connected(server, f"127.0.4.{number % 40 + 1}") for number in range(150)]
        assert all(b" 200 " in asked(each) for each in held)
    finally:
        server.kill()
        site.close()
