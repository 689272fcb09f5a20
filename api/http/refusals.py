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


class InvalidParameter(TransportRefusal):
    """A query or path parameter is not what the route takes."""

    problem = problems.INVALID_PARAMETER

    def __init__(self, name: str, rule: str) -> None:
        super().__init__()
        self.name = name
        self.rule = rule
