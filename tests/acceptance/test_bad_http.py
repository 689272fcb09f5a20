"""HTTP that no client library would send: bounded, answered where something is owed, and never mistaken."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time

import pytest

from tests.support.raw import exchange, post
from tests.support.site import IRIS

pytestmark = pytest.mark.alone

GOOD = json.dumps(IRIS).encode()
ROUTE = "/v1/models/iris/predict"


def test_bodies_and_heads_past_their_bounds_are_413(site, serve):
    """With a declared length, chunked without one, and for heads of a megabyte or without an end."""
    server, key = serve(site), site.key()
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
    assert "Traceback" not in server.log.read_text()


def test_a_known_callers_oversized_body_is_recorded(site, serve):
    """The refusal is in the log, as any other."""
    server, key = serve(site), site.key()
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
def test_a_request_that_breaks_http_is_a_problem_too(site, serve, request_head):
    """400 in the same form as every other error."""
    answer = exchange(serve(site).port, request_head)
    assert answer.status == 400
    assert answer.json()["type"] == "/problems/malformed-request"


def test_a_head_that_dawdles_is_cut_off(site, serve):
    """A head that is not complete in ten seconds is refused, however little it is."""
    server = serve(site)
    started = time.monotonic()
    answer = exchange(server.port, b"GET / HTTP/1.1\r\n", seconds=20)
    assert answer.status == 400
    assert 8 < time.monotonic() - started < 14


def test_a_trailer_is_bounded_and_is_no_header(site, serve):
    """Neither a flood of trailer fields, nor a credential that comes after its check."""
    server, key = serve(site), site.key()
    before = server.memory_bytes()
    flood = [b"a: " + b"b" * 60_000 + b"\r\n"] * 1000
    chunked = post(ROUTE, key, b"", "Transfer-Encoding: chunked") + b"0\r\n"
    assert exchange(server.port, chunked, *flood).status == 413
    assert exchange(server.port, chunked, *[b"a:\r\n"] * 100_000).status == 413
    late = b"GET /v1/me HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-API-Key: " + key.encode()
    assert exchange(server.port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + late + b"\r\n\r\n").status == 200
    assert exchange(server.port, late + b"\r\n\r\n").status == 401
    assert server.memory_bytes() - before < 20 << 20


def test_pipelined_requests_are_answered_in_order_and_not_without_end(site, serve):
    """Ten are; a hundred thousand are not kept for anybody."""
    server = serve(site)
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(one * 10)
        received = b""
        while received.count(b'"ok"') < 10:
            received += connection.recv(65536)
    before = server.memory_bytes()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection, contextlib.suppress(OSError):
        for _ in range(1000):
            connection.sendall(one * 100)
    assert server.memory_bytes() - before < 20 << 20


def test_an_upgrade_that_is_not_served_is_the_request_without_it(site, serve):
    """Its body is a body: neither dropped, nor taken for the next request."""
    server, key = serve(site), site.key()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    length = f"Content-Length: {len(GOOD)}"
    assert exchange(server.port, post(ROUTE, key, b"", length, *upgrade), GOOD).status == 200
    assert exchange(server.port, post(ROUTE, key, GOOD, length, *upgrade)).status == 200
    smuggled = f"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(post(ROUTE, key, b"", f"Content-Length: {len(smuggled)}", *upgrade))
        time.sleep(0.2)
        connection.sendall(smuggled)
        time.sleep(0.5)
        received = connection.recv(65536)
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


@pytest.mark.parametrize("pieces", ["in one segment", "in two"])
@pytest.mark.parametrize("name", AFTER)
def test_a_complete_request_is_answered_whatever_comes_behind_it(site, serve, name, pieces):
    """One or two good requests, then a bad one or a half-close: each good one gets its own answer, as it is recorded."""
    server, key = serve(site), site.key()
    good = post(ROUTE, key, GOOD, f"Content-Length: {len(GOOD)}")
    for count in (1, 2):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            if AFTER[name] is None:
                connection.sendall(good * count)
                connection.shutdown(socket.SHUT_WR)
            elif pieces == "in one segment":
                connection.sendall(good * count + AFTER[name])
            else:
                connection.sendall(good * count)
                connection.sendall(AFTER[name])
            received = read_all(connection)
        assert received.count(b"HTTP/1.1 200") == count, received
        ids = re.findall(rb'"request_id":"([0-9a-f-]{36})","model"', received)
        for request_id in ids:
            head = f"GET /audit/predictions/{request_id.decode()} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n"
            assert exchange(server.port, head.encode()).json()["outcome"] == "answered"
    assert "Traceback" not in server.log.read_text()
    assert "Exception in ASGI" not in server.log.read_text()


def test_hanging_up_with_requests_waiting_is_no_error(site, serve):
    """Nothing is logged, and the next caller is served."""
    server, key = serve(site), site.key()
    good = post(ROUTE, key, GOOD, f"Content-Length: {len(GOOD)}")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(good * 5)
    assert exchange(server.port, good).status == 200
    assert '"level":"error"' not in server.log.read_text()
