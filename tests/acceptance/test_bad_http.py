"""HTTP that no client library would send: bounded, answered where something is owed, and never mistaken."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.patience import SECONDS
from tests.support.raw import exchange, patiently, post
from tests.support.site import IRIS

GOOD = json.dumps(IRIS).encode()
ROUTE = "/v1/models/iris/predict"


def dawdle(port):
    started = time.monotonic()
    return exchange(port, b"GET / HTTP/1.1\r\n"), time.monotonic() - started


@pytest.fixture(scope="module", autouse=True)
def dawdling(shared_server):
    """A head that is begun before this file's first test, and not ended: its answer, and after how many seconds."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(dawdle, shared_server.port)


def test_bodies_and_heads_past_their_bounds_are_413(shared_server):
    """With a declared length, chunked without one, and for heads of a megabyte or without an end."""
    server, key = shared_server, shared_server.site.key()
    logged = len(server.log.read_text())
    big = b" " * (1 << 20) + b"x"
    declared = exchange(server.port, post(ROUTE, key, big, f"Content-Length: {len(big)}"))
    chunks = [b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"] * 16 + [b"1\r\nx\r\n0\r\n\r\n"]
    chunked = exchange(server.port, post(ROUTE, key, b"", "Transfer-Encoding: chunked"), *chunks)
    huge_header = exchange(server.port, post(ROUTE, key, b"", "X-Big: " + "a" * (1 << 20), "Content-Length: 0"))
    many_headers = exchange(server.port, post(ROUTE, key, b"", *(f"X-{n}: {n}" for n in range(20_000))))
    endless = exchange(server.port, b"GET / HTTP/1.1\r\n", *([b"X-Endless: " + b"a" * 1000 + b"\r\n"] * 100_000))
    long_path = exchange(server.port, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    for answer in (declared, chunked, huge_header, many_headers, endless, long_path):
        assert answer.status == 413, answer
        assert answer.json()["type"] == "/problems/too-large"
        assert f"x-request-id: {answer.json()['request_id']}" in answer.head
    just_fits = b" " * ((1 << 20) - len(GOOD)) + GOOD
    assert exchange(server.port, post(ROUTE, key, just_fits, f"Content-Length: {1 << 20}")).status == 200
    assert "Traceback" not in server.log.read_text()[logged:]


def test_a_known_callers_oversized_body_is_recorded(shared_server):
    """The refusal is in the log, as any other."""
    server, key = shared_server, shared_server.site.key()
    declared = exchange(server.port, post(ROUTE, key, b"", f"Content-Length: {1 << 30}"))
    found = exchange(
        server.port,
        f"GET /audit/predictions/{declared.json()['request_id']} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode(),
    )
    assert found.json()["outcome"] == "refused:too-large"


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_request_that_breaks_http_is_a_problem_too(shared_server, request_head):
    """400 in the same form as every other error."""
    answer = exchange(shared_server.port, request_head)
    assert answer.status == 400
    assert answer.json()["type"] == "/problems/malformed-request"


def test_a_trailer_is_bounded_and_is_no_header(shared_server):
    """Neither a flood of trailer fields, nor a credential that comes after its check."""
    server, key = shared_server, shared_server.site.key()
    before = server.memory_bytes()
    flood = [b"a: " + b"b" * 60_000 + b"\r\n"] * 1000
    chunked = post(ROUTE, key, b"", "Transfer-Encoding: chunked") + b"0\r\n"
    assert exchange(server.port, chunked, *flood).status == 413
    assert exchange(server.port, chunked, *[b"a:\r\n"] * 100_000).status == 413
    late = b"GET /v1/me HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-API-Key: " + key.encode()
    assert exchange(server.port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + late + b"\r\n\r\n").status == 200
    assert exchange(server.port, late + b"\r\n\r\n").status == 401
    assert server.memory_bytes() - before < 20 << 20


def test_pipelined_requests_are_answered_in_order_and_not_without_end(shared_server):
    """Ten are; a hundred thousand are not kept for anybody."""
    server = shared_server
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
        connection.sendall(one * 10)
        received = b""
        while received.count(b'"ok"') < 10:
            received += connection.recv(65536)
    before = server.memory_bytes()
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection, contextlib.suppress(OSError):
        for _ in range(1000):
            connection.sendall(one * 100)
    assert server.memory_bytes() - before < 20 << 20


def test_an_upgrade_that_is_not_served_is_the_request_without_it(shared_server):
    """Its body is a body: neither dropped, nor taken for the next request."""
    server, key = shared_server, shared_server.site.key()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    length = f"Content-Length: {len(GOOD)}"
    assert exchange(server.port, post(ROUTE, key, b"", length, *upgrade), GOOD).status == 200
    assert exchange(server.port, post(ROUTE, key, GOOD, length, *upgrade)).status == 200
    smuggled = f"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode()

    def smuggle() -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            connection.sendall(post(ROUTE, key, b"", f"Content-Length: {len(smuggled)}", *upgrade))
            time.sleep(0.2)
            connection.sendall(smuggled)
            time.sleep(0.5)
            return connection.recv(65536)

    received = patiently(smuggle)
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1


def read_all(connection) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while more := connection.recv(65536):
            received += more
    return received


AFTER = {
    "garbage": b"ZZZ\r\n\r\n",
    "a request without a host": b"GET /health HTTP/1.1\r\n\r\n",
    "a head without an end": b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 2_000_000,
    "a broken body": b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "nothing more": None,
}


def answers_to(port, good, bad, pieces) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        if bad is None:
            connection.sendall(good)
            connection.shutdown(socket.SHUT_WR)
        elif pieces == "in one segment":
            connection.sendall(good + bad)
        else:
            connection.sendall(good)
            connection.sendall(bad)
        return read_all(connection)


@pytest.mark.parametrize("pieces", ["in one segment", "in two"])
@pytest.mark.parametrize("name", AFTER)
def test_a_complete_request_is_answered_whatever_comes_behind_it(shared_server, name, pieces):
    """One or two good requests, then a bad one or a half-close: each good one gets its own answer, as it is recorded."""
    server, key = shared_server, shared_server.site.key()
    logged = len(server.log.read_text())
    good = post(ROUTE, key, GOOD, f"Content-Length: {len(GOOD)}")
    for count in (1, 2):
        received = patiently(lambda: answers_to(server.port, good * count, AFTER[name], pieces))  # noqa: B023  asked now
        assert received.count(b"HTTP/1.1 200") == count, received
        ids = re.findall(rb'"request_id":"([0-9a-f-]{36})","model"', received)
        for request_id in ids:
            head = f"GET /audit/predictions/{request_id.decode()} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n"
            assert exchange(server.port, head.encode()).json()["outcome"] == "answered"
    assert "Traceback" not in server.log.read_text()[logged:]
    assert "Exception in ASGI" not in server.log.read_text()[logged:]


def test_hanging_up_with_requests_waiting_is_no_error(shared_server):
    """Nothing is logged, and the next caller is served."""
    server, key = shared_server, shared_server.site.key()
    logged = len(server.log.read_text())
    good = post(ROUTE, key, GOOD, f"Content-Length: {len(GOOD)}")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(good * 5)
    assert exchange(server.port, good).status == 200
    assert '"level":"error"' not in server.log.read_text()[logged:]


def test_a_head_that_dawdles_is_cut_off(dawdling):
    """A head that is not complete in ten seconds is refused, however little it is."""
    answer, seconds = dawdling.result()
    assert answer.status == 400
    assert seconds > 8
