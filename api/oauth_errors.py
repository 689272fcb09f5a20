"""Refusals of the token routes in the form that OAuth 2.0 clients read (RFC 6749, section 5.2; RFC 7009, 2.2.1).

Such a client takes any JSON object without a member `error` for a token, whatever the status is.
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
#: On these statuses, the token routes answer like all other routes.
_OF_EVERY_ROUTE = {404, 405}
_CHALLENGE = 'Basic realm="adyton"'
#: These facts get fixed words, which do not say which of the two values is wrong.
_OF_FACTS: dict[type[Exception], tuple[str, int, str]] = {
    NotAuthenticated: (
        "invalid_client",
        401,
        "client_id and client_secret are not those of a key that may be used here and now",
    ),
    SignInRefused: ("invalid_grant", 400, "username and password are not those of a person who may sign in"),
}
#: RFC 6749 has no name for a limit at this endpoint; `temporarily_unavailable` is from another (section 4.1.2.1).
_OF_STATUSES = {403: "unauthorized_client", 429: "temporarily_unavailable", 503: "temporarily_unavailable"}
#: Characters that an `error_description` must not hold.
_UNWRITABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class TokenRequestRefused(TransportRefusal):
    """A malformed request for a token: the error's OAuth 2.0 name (RFC 6749, section 5.2), and words for it."""

    problem = problems.MALFORMED_REQUEST

    def __init__(self, error: str, words: str) -> None:
        super().__init__()
        self.error = error
        self.words = words


def speaks_oauth(request: Request, problem: Problem) -> bool:
    """Whether an OAuth 2.0 client will read this refusal."""
    return request.scope["path"] in PATHS and problem.status not in _OF_EVERY_ROUTE


def oauth_refusal(
    error: Exception, problem: Problem, detail: str, members: dict[str, Any], headers: dict[str, str]
) -> Response:
    """The response to a fact on a token route; `members` and `headers` come from the problem that it stands for."""
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
