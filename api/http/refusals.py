"""Refusals that several routes raise, and that only HTTP knows."""

from __future__ import annotations

from serving import problems
from serving.facts import TransportRefusal


class RecordNotFound(TransportRefusal):
    """No record has that id, or none that this caller may see."""

    problem = problems.NOT_FOUND


class PreconditionFailed(TransportRefusal):
    """The thing is at another revision than `If-Match` says."""

    problem = problems.PRECONDITION_FAILED


class TokenRequestRefused(TransportRefusal):
    """A request for a token that cannot be one, by its OAuth 2.0 name (RFC 6749, section 5.2) and in words."""

    problem = problems.MALFORMED_REQUEST

    def __init__(self, error: str, words: str) -> None:
        super().__init__()
        self.error = error
        self.words = words


class InvalidParameter(TransportRefusal):
    """A query or path parameter is not what the route takes."""

    problem = problems.INVALID_PARAMETER

    def __init__(self, name: str, rule: str) -> None:
        super().__init__()
        self.name = name
        self.rule = rule
