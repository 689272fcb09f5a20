"""Refusals over HTTP: turns each fact into a problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from admin.facts import InvalidValue, NameTaken, NotFound, WrongState
from api.http.cors import PreflightRefused
from api.http.direct_route import DuplicateParameter
from api.http.json_body import InvalidBody
from api.http.multipart_body import MalformedForm
from api.http.refusals import InvalidParameter
from api.http.security import call_of, parts_of
from api.oauth_errors import TokenRequestRefused, oauth_refusal, speaks_oauth
from audit.filters import InvalidFilter
from audit.search import SearchTooLong
from auth.credentials import AmbiguousCredential, NotAuthenticated
from auth.sign_in import SignInRefused
from auth.sign_in_failures import TooManyFailedSignIns
from db.database import ChangedMeanwhile
from inference.rows.schema import InvalidRows
from quotas.failures import TooManyFailures
from quotas.limiter import ExceedsQuota, QuotaExceeded, TooManyAtOnce
from serving import outcomes, problems
from serving.facts import BodyTooSlow, ClientGone, ModelFailed, NoScores, NotAllowed
from serving.problems import Problem
from values.json_pointer import Violation, counted
from values.strict_json import BrokenJson

QUOTA_EXCEEDED_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"
RETRY_SECONDS = 1

#: The facts that changes and FastAPI raise. Those that predictions raise, and record, are in serving/outcomes.py.
TABLE: dict[type[Exception], Problem] = {
    NotFound: problems.NOT_FOUND,
    NameTaken: problems.CONFLICT,
    WrongState: problems.CONFLICT,
    ChangedMeanwhile: problems.CONFLICT,
    InvalidValue: problems.INVALID_BODY,
    InvalidFilter: problems.INVALID_PARAMETER,
    SearchTooLong: problems.SEARCH_TOO_LONG,
    RequestValidationError: problems.INVALID_PARAMETER,
    PreflightRefused: problems.PREFLIGHT_REFUSED,
}

_STATUSES = {404: problems.NOT_FOUND, 405: problems.METHOD_NOT_ALLOWED}

Members = dict[str, Any]
#: Makes the `detail` of one refusal, and the members that this refusal adds to its problem document.
_DETAILS: dict[type[Exception], Callable[[Any], tuple[str, Members]]] = {
    BrokenJson: lambda e: (e.reason, {}),
    AmbiguousCredential: lambda _: ("more than one credential was sent: send one", {}),
    DuplicateParameter: lambda _: ("a query parameter was given more than once", {}),
    BodyTooSlow: lambda _: ("the body did not arrive in time", {}),
    ClientGone: lambda _: ("the caller hung up before the answer was there", {}),
    MalformedForm: lambda _: ("the body is not a multipart form", {}),
    NotAllowed: lambda e: (f"this needs {' or '.join(e.needed)}", {}),
    PreflightRefused: lambda e: (e.reason, {}),
    NameTaken: lambda e: (str(e), {}),
    WrongState: lambda e: (str(e), {}),
    ChangedMeanwhile: lambda e: (str(e), {}),
    InvalidValue: lambda e: (str(e), {}),
    InvalidBody: lambda e: (counted(e.errors), _errors(e.errors)),
    TokenRequestRefused: lambda e: (e.words, {}),
    InvalidRows: lambda e: (counted(e.errors), _errors(e.errors)),
    ModelFailed: lambda e: _failed_row(e.at),
    InvalidParameter: lambda e: (f"{e.name}: {e.rule}", {}),
    InvalidFilter: lambda e: (f"{e.name}: {e.rule}", {}),
    NoScores: lambda _: ("include: this version of the model has no scores; ask without it", {}),
    RequestValidationError: lambda e: (_parameters(e), {}),
    ExceedsQuota: lambda e: (f"more rows than {', '.join(e.policies)} could ever allow", _violated(e.policies)),
    QuotaExceeded: lambda e: (f"{', '.join(e.policies)}: wait {e.retry_after_seconds} s", _violated(e.policies)),
    TooManyAtOnce: lambda e: (f"at most {e.concurrency} requests at once", {}),
}


async def answer_problem(request: Request, error: Exception) -> Response:
    """The response to a fact. Counts a failure at the caller's address."""
    try:
        await _count_failure(request, error)
    except TooManyFailures as throttled:
        error = throttled
    if isinstance(error, QuotaExceeded | TooManyAtOnce):
        call_of(request).refused_by = error.states
    problem = problem_of(error)
    describe = _DETAILS.get(type(error))
    detail, members = describe(error) if describe else (problem.explanation, {})
    headers = _headers(problem, error)
    if speaks_oauth(request, problem):
        return oauth_refusal(error, problem, detail, {"request_id": call_of(request).request_id} | members, headers)
    root_path = parts_of(request).settings.root_path
    body = problem_body(problem, detail, call_of(request).request_id, members, root_path)
    return Response(body, problem.status, headers, media_type="application/problem+json")


def problem_of(error: Exception) -> Problem:
    """The problem that describes a fact; `INTERNAL` for an unexpected exception."""
    if isinstance(error, HTTPException):
        unknown = problems.MALFORMED_REQUEST if error.status_code < 500 else problems.INTERNAL
        return _STATUSES.get(error.status_code, unknown)
    known = outcomes.problem_of(error)
    if known is not None:
        return known
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), problems.INTERNAL)


def problem_body(problem: Problem, detail: str, request_id: str, members: Members, root_path: str) -> bytes:
    """The body of a problem. The detail never holds anything that came from the caller."""
    kind = QUOTA_EXCEEDED_TYPE if problem is problems.QUOTA_EXCEEDED else f"{root_path}/problems/{problem.name}"
    document = {"type": kind, "title": problem.title, "status": problem.status, "detail": detail}
    return orjson.dumps(document | {"request_id": request_id} | members)


def _headers(problem: Problem, error: Exception) -> dict[str, str]:
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="adyton"'
    if problem.status in (429, 503):
        headers["Retry-After"] = str(getattr(error, "retry_after_seconds", RETRY_SECONDS))
    return headers


async def _count_failure(request: Request, error: Exception) -> None:
    is_unknown_path = isinstance(error, HTTPException) and error.status_code == 404
    is_failed_sign_in = isinstance(error, SignInRefused | TooManyFailedSignIns)
    if is_unknown_path or is_failed_sign_in or (isinstance(error, NotAuthenticated) and error.was_presented):
        await parts_of(request).failures.count(call_of(request).address)


def _errors(errors: Sequence[Violation]) -> Members:
    return {"errors": [error._asdict() for error in errors]}


def _failed_row(at: str | None) -> tuple[str, Members]:
    if at is None:
        return "the model raised an error", {}
    return "the model raised an error on this row", _errors([Violation(at, "model", "makes the model raise an error")])


def _parameters(error: RequestValidationError) -> str:
    """Names the wrong parameters. The names are those that the route declares, never the caller's."""
    return "wrong: " + ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))


def _violated(policies: Sequence[str]) -> Members:
    return {"violated-policies": list(policies)}
