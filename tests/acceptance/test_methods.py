"""HEAD wherever GET is, with GET's fields; and what a 405 says is there."""

from __future__ import annotations

import socket

import pytest

from tests.acceptance.callers import EXPECTED
from tests.support.people import client_of

pytestmark = pytest.mark.anyio

PAGES = ("/docs", "/redoc", "/openapi.json", "/static/docs.js", "/static/swagger-ui.css", "/problems/not-found")
#: What differs between two answers to the same request.
OWN = ("x-request-id", "date")


def fields(answer) -> dict[str, str]:
    """All but what tells one answer from the next: its id, and the time that `RateLimit` counts."""
    return {name: value for name, value in answer.headers.items() if name not in (*OWN, "ratelimit")}


async def test_head_is_answered_wherever_get_is(site):
    """By everybody's kind of caller: the same status and fields, with the length of GET's body, and no body."""
    named = {"model": "iris", "name": "acme", "key_id": site.issue().key.id, "user_id": "x", "request_id": "x"}
    gets = [operation.partition(" ")[2].format(**named) for operation in EXPECTED if operation.startswith("GET ")]
    refused = ["/nothing", "/admin/plans/none", "/static/none", "/predict", "/auth/token", "/v1/me%0A"]
    async with client_of(site) as admin:
        for client_headers in ({}, {"X-API-Key": site.key()}, {"Authorization": admin.headers["Authorization"]}):
            admin.headers.pop("Authorization", None)
            for path in (*gets, *PAGES, *refused):
                get = await admin.get(path, headers=client_headers)
                head = await admin.head(path, headers=client_headers)
                assert head.status_code == get.status_code, path
                if "request_id" not in get.text and "key_id" not in get.text:
                    assert fields(head) == fields(get), path
                assert head.headers["content-length"] == str(len(get.content)), path
                assert head.content == b""


async def test_a_405_names_every_method_of_the_path(site):
    """Also where several routes share it, for files, and for HEAD, which a POST alone does not bring."""
    async with site.client() as client:
        for method, path, allowed in (
            ("POST", "/health", "GET, HEAD"), ("TRACE", "/admin/tenants/acme", "DELETE, GET, HEAD, PATCH"),
            ("GET", "/predict", "POST"), ("HEAD", "/predict", "POST"), ("PUT", "/admin/tenants", "GET, HEAD, POST"),
            ("POST", "/static/docs.js", "GET, HEAD"), ("POST", "/docs/", "GET, HEAD"), ("GET", "/auth/revoke/", "POST"),
        ):  # fmt: skip
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers.get("allow")) == (405, allowed), (method, path)


def test_the_next_answer_on_the_connection_is_not_mistaken_for_a_heads_body(site, serve):
    """HEADs and GETs in one go: each answer begins where the one before has ended."""
    server = serve(site)
    one = "{} {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    wanted = [
        ("HEAD", "/health"),
        ("GET", "/health"),
        ("HEAD", "/nothing"),
        ("HEAD", "/static/docs.js"),
        ("HEAD", "/docs"),
    ]
    sent = "".join(one.format(method, path, "") for method, path in wanted)
    sent += one.format("GET", "/health", "Connection: close\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(sent.encode())
        answers = b""
        while more := connection.recv(65536):
            answers += more
    heads = answers.split(b"HTTP/1.1 ")[1:]
    assert [head[:3] for head in heads] == [b"200", b"200", b"404", b"200", b"200", b"200"]
    assert [head.partition(b"\r\n\r\n")[2] for head in heads[:1] + heads[2:5]] == [b""] * 4
    assert heads[1].endswith(b'{"status":"ok"}')
