"""HTTP by hand, for requests that no client library would send."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass


@dataclass
class Raw:
    """An answer, taken apart."""

    status: int
    head: str
    body: bytes

    def json(self):
        return json.loads(self.body)


def exchange(port: int, *parts: bytes, seconds: float = 15) -> Raw:
    """Sends the parts until the server refuses more, and reads one answer to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
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
