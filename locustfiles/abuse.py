"""Abuse: bad credentials, bad bodies, more than may ever be asked, and senders that are slow on purpose."""

from __future__ import annotations

import json
import random
import select
import socket
import time
import zlib
from collections.abc import Iterable, Mapping
from itertools import cycle
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import gevent
from locust import constant, task

from locustfiles.agreement import Key
from locustfiles.answers import Answer
from locustfiles.users import BATCH, PREDICT, Arrivals, Asker, agreement, answers

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SLOW_SECONDS = 3


class Case(NamedTuple):
    """One way to ask wrongly. `label` is the key that is used; none for a stranger."""

    kind: str
    method: str
    path: str
    body: bytes | None = None
    label: str = ""
    headers: Mapping[str, str] = MappingProxyType({})


def unknown_key() -> str:
    """A well-formed key that was never issued."""
    body = "ady_" + "".join(random.choices(ALPHABET, k=44))  # noqa: S311  nobody is to be kept from guessing it
    checksum, left = "", zlib.crc32(body.encode()[4:])
    for _ in range(6):
        left, digit = divmod(left, 62)
        checksum = ALPHABET[digit] + checksum
    return body + checksum


def cases() -> list[Case]:
    """Every way but the strangers' own. The judge's table says what is right for each."""
    row = agreement.keys["abuser"].row
    raw, many = json.dumps(row).encode(), json.dumps({"rows": [row] * 1001}).encode()
    twice = b'{"petal_width": 1, ' + raw[1:]
    allowed = json.dumps({"rows": [row] * 501}).encode()
    plain = {"Content-Type": "text/plain"}
    return [
        Case("broken JSON", "POST", PREDICT, b'{"sepal_length": 5.1,', "abuser"),
        Case("a member twice", "POST", PREDICT, twice, "abuser"),
        Case("a text for a number", "POST", PREDICT, json.dumps(row | {"petal_width": "0.2"}).encode(), "abuser"),
        Case("an unknown member", "POST", PREDICT, json.dumps(row | {"x": 1}).encode(), "abuser"),
        Case("a member is missing", "POST", PREDICT, b"{}", "abuser"),
        Case("a value out of bounds", "POST", PREDICT, json.dumps(row | {"petal_width": 1e6}).encode(), "abuser"),
        Case("too many rows", "POST", BATCH, many, "abuser"),
        Case("more rows than ever allowed", "POST", BATCH, allowed, "abuser"),
        Case("a body too large", "POST", PREDICT, b" " * (1 << 20) + raw, "abuser"),
        Case("another content type", "POST", PREDICT, raw, "abuser", plain),
        Case("another method", "DELETE", PREDICT, None, "abuser"),
        Case("an unknown model", "POST", "/v1/models/nothing/predict", raw, "abuser"),
        Case("no scope for it", "POST", PREDICT, raw, "reader"),
        Case("two credentials", "POST", PREDICT, raw, "abuser", {"Authorization": "Bearer x"}),
        Case("an admin's route by a key", "GET", "/admin/tenants", None, "abuser"),
        Case("no credential", "POST", PREDICT, raw),
        Case("a malformed key", "POST", PREDICT, raw, "", {"X-API-Key": "ady_no"}),
        Case("an unknown path", "GET", "/nothing"),
    ]


class Abuser(Arrivals):
    """Asks wrongly in each way in turn."""

    right = frozenset(range(400, 430))
    rate = 12.0
    weight = 1

    def on_start(self) -> None:
        super().on_start()
        self._cases = cycle(cases())

    def ask_once(self, due: float) -> None:
        case = next(self._cases)
        key = agreement.keys[case.label] if case.label else None
        self.ask(case.kind, case.method, case.path, key=key, body=case.body, headers=case.headers, due=due)


class Guesser(Arrivals):
    """Tries keys that do not exist, faster than an address may fail."""

    right = frozenset({401, 429})
    rate = 30.0
    weight = 1

    def ask_once(self, due: float) -> None:
        self.ask("an unknown key", "POST", PREDICT, body={}, headers={"X-API-Key": unknown_key()}, due=due)


class Slow(Asker):
    """Sends over a bare socket, a byte now and then."""

    abstract = True
    wait_time = constant(0.2)

    def send_slowly(self, kind: str, parts: Iterable[bytes], key: Key | None, *, rows: int = 0, ends: bool) -> None:
        """Sends the parts over `SLOW_SECONDS` and notes the answer; hangs up then, unless the request `ends`."""
        address = urlsplit(self.host)
        pieces, sent, raw = list(parts), time.time(), b""
        try:
            with socket.create_connection((address.hostname, address.port or 80), timeout=30) as connection:
                is_early = False
                for piece in pieces:
                    connection.sendall(piece)
                    gevent.sleep(SLOW_SECONDS / len(pieces))
                    is_early = bool(select.select([connection], [], [], 0)[0])
                    if is_early:
                        break
                if is_early or ends:
                    raw = _received(connection)
        except OSError:
            raw = b""
        status, document = _read(raw)
        answers.append(
            Answer(
                kind,
                sent,
                time.time(),
                status,
                key.id if key else "",
                key.tenant if key else "",
                (document.get("type") or "").replace("#", "/").rpartition("/")[2],
                document.get("request_id", ""),
                rows,
            )
        )


class SlowHead(Slow):
    """Never ends its head, and hangs up."""

    weight = 2

    @task
    def send(self) -> None:
        lines = [b"POST " + PREDICT.encode() + b" HTTP/1.1\r\n", *(b"X-Slow: %d\r\n" % n for n in range(20))]
        self.send_slowly("a head without end", lines, None, ends=False)


class SlowBody(Slow):
    """Never ends its body, and hangs up: it holds one of its tenant's places meanwhile."""

    weight = 2

    @task
    def send(self) -> None:
        key = agreement.keys["slow"]
        self.send_slowly("a body without end", [_head(key, 100), *[b" "] * 20], key, ends=False)


class SlowButWhole(Slow):
    """Sends all of it in the end, and is answered like anybody."""

    weight = 1

    @task
    def send(self) -> None:
        key = agreement.keys["slow"]
        body = json.dumps(key.row).encode()
        parts = [_head(key, len(body)), *(body[n : n + 4] for n in range(0, len(body), 4))]
        self.send_slowly("slow but whole", parts, key, rows=1, ends=True)


class Crowd(Asker):
    """Asks with the slow tenant's key while its places are taken: at most four at once."""

    right = frozenset({200, 429})
    weight = 2
    wait_time = constant(0.1)
    kinds: ClassVar = ["beside slow senders"]

    @task
    def ask_again(self) -> None:
        self.predict(agreement.keys["slow"], "beside slow senders")


def _head(key: Key, length: int) -> bytes:
    lines = [f"POST {PREDICT} HTTP/1.1", "Host: load", f"X-API-Key: {key.raw_key}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def _received(connection: socket.socket) -> bytes:
    """One answer to its end."""
    raw = b""
    while data := connection.recv(65536):
        raw += data
        head, end, body = raw.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            break
    return raw


def _read(raw: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = raw.partition(b"\r\n\r\n")
    try:
        return int(head[9:12]), json.loads(body)
    except ValueError:
        return 0, {}
