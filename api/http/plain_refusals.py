"""Refusals in plain bytes, for connections whose requests reach no route."""

from __future__ import annotations

from api.errors import RETRY_SECONDS, problem_body
from api.http.answer_headers import SECURITY_HEADERS
from serving.problems import Problem
from values.ids import uuid7

_REASONS = {400: "Bad Request", 413: "Content Too Large", 503: "Service Unavailable"}


def refusal(problem: Problem, detail: str, root_path: str) -> bytes:
    """A whole response, after which the connection ends."""
    request_id = uuid7()
    body = problem_body(problem, detail, request_id, {}, root_path)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode("ascii")),
        *([(b"retry-after", b"%d" % RETRY_SECONDS)] if problem.status == 503 else []),
        *SECURITY_HEADERS,
    ]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    status = f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}\r\n".encode("ascii")
    return status + lines + b"\r\n" + body
