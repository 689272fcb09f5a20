"""Refusals of the token routes in the form that OAuth 2.0 clients read (RFC 6749, section 5.2; RFC 7009, 2.2.1).

Such a client takes any JSON object without a member `error` for a token, whatever its status is.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from fastapi import Request, Response

from auth.credentials import NotAuthenticated
from auth.sign_in import SignInRefused
from serving import problems
from serving.facts import TransportRefusal
from serving.problems import Problem

PATHS = frozenset({"/auth/token", "/auth/revoke"})
#: A method that these paths do not have is answered as everywhere.
_OF_EVERY_ROUTE = {404, 405}
_CHALLENGE = 'Basic realm="adyton"'
#: Of these facts the reader is told no more than here: which of two things is wrong is not said.
_OF_FACTS: dict[type[Exception], tuple[str, int, str]] = {
    NotAuthenticated: ("invalid_client", 401, "this is no key, with its id, that may be used here and now"),
    SignInRefused: ("invalid_grant", 400, "this is no name and password of somebody who may sign in"),
}
#: `temporarily_unavailable` is another endpoint's (RFC 6749, section 4.1.2.1); this one has no name for a limit.
_OF_STATUSES = {403: "unauthorized_client", 429: "temporarily_unavailable", 503: "temporarily_unavailable"}
#: What an `error_description` may not hold.
_UNWRITABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class TokenRequestRefused(TransportRefusal):
    """A request for a token that cannot be one, by its OAuth 2.0 name (RFC 6749, section 5.2) and in words."""

    problem = problems.MALFORMED_REQUEST

    def __init__(self, error: str, words: str) -> None:
        super().__init__()
        self.error = error
        self.words = words


def speaks_oauth(request: Request, problem: Problem) -> bool:
    """Whether this refusal is for an OAuth 2.0 client to read."""
    return request.scope["path"] in PATHS and problem.status not in _OF_EVERY_ROUTE


def oauth_refusal(
    error: Exception, problem: Problem, detail: str, members: dict[str, Any], headers: dict[str, str]
) -> Response:
    """The response to a fact that a token route met; `members` and `headers` are those that its problem would have."""
    name, status, words = _described(error, problem, detail)
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    else:
        headers.pop("WWW-Authenticate", None)
    document = {"error": name, "error_description": _UNWRITABLE.sub("'", words)} | members
    return Response(orjson.dumps(document), status, headers, media_type="application/json")


def _described(error: Exception, problem: Problem, detail: str) -> tuple[str, int, str]:
    """The error's OAuth 2.0 name, its status, and words for it."""
    if isinstance(error, TokenRequestRefused):
        return error.error, 400, error.words
    if type(error) in _OF_FACTS:
        return _OF_FACTS[type(error)]
    default = "server_error" if problem.status >= 500 else "invalid_request"
    return _OF_STATUSES.get(problem.status, default), problem.status, detail
