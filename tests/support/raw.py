"""HTTP by hand, for what no client library would send."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass

from tests.support.patience import PAUSE_SECONDS, SECONDS, is_without_news


@dataclass
class Raw:
    """An answer, taken apart."""

    status: int
    head: str
    body: bytes

    def json(self):
        return json.loads(self.body)


def exchange(port: int, *parts: bytes) -> Raw:
    """Sends the parts, for as long as they are taken, and reads one answer to its end; as patient as other clients."""
    deadline = time.monotonic() + SECONDS
    while is_without_news((answer := _exchange(port, *parts)).status, answer.body) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return answer


def patiently(ask) -> bytes:
    """The bytes that `ask` received, once none of them says that no caller can be known."""
    deadline = time.monotonic() + SECONDS
    while b"directory-unavailable" in (received := ask()) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return received


def _exchange(port: int, *parts: bytes) -> Raw:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
        received = b""
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            assert more, f"the connection ended after {received!r}"
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        return Raw(int(head[9:12]), head.decode().lower(), body)


def post(path: str, key: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
