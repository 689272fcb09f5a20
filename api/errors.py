"""What a refusal looks like: one table from facts to problems, and the answer made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from admin.facts import InvalidValue, NameTaken, NotFound, WrongState
from api.dependencies import NoSuchName, NotAcceptable, NotAllowed, PasswordChangeRequired, call_of, parts_of
from api.http.body import BodyTooLarge, UnsupportedMediaType
from api.http.direct_route import DuplicateParameter
from api.http.json_body import InvalidBody
from api.http.multipart_body import MalformedForm
from api.problems import (
    BROKEN_JSON,
    CONFLICT,
    DATABASE_UNAVAILABLE,
    DEADLINE,
    DIRECTORY_UNAVAILABLE,
    EXCEEDS_QUOTA,
    FORBIDDEN,
    INTERNAL,
    INVALID_BODY,
    INVALID_PARAMETER,
    INVALID_ROWS,
    LOG_UNAVAILABLE,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    MODEL_NOT_AVAILABLE,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    OVERLOADED,
    PASSWORD_CHANGE_REQUIRED,
    PRECONDITION_FAILED,
    QUOTA_EXCEEDED,
    SEARCH_TOO_LONG,
    TOO_LARGE,
    TOO_MANY_AT_ONCE,
    TOO_MANY_FAILURES,
    TOO_MANY_SIGN_INS,
    UNAUTHORIZED,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)
from audit.filters import InvalidFilter
from audit.search import SearchTooLong
from audit.waiting import LogUnavailable
from auth.directory import DirectoryUnavailable
from auth.passwords import TooManySignIns
from auth.principal import Partner
from auth.security import AmbiguousCredential, NotAuthenticated
from auth.sign_in import SignInRefused, TooManyFailedSignIns
from db.database import ChangedMeanwhile, DatabaseUnavailable
from inference.registry import ModelNotAvailable, ModelNotFound
from inference.schema import InvalidRows
from quotas.failures import TooManyFailures
from quotas.limiter import ExceedsQuota, QuotaExceeded, TooManyAtOnce
from serving.predictor import BodyTooSlow, ClientGone, DeadlineExceeded, ModelFailed
from values.strict_json import BrokenJson

QUOTA_EXCEEDED_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"
RETRY_SECONDS = 1


class RecordNotFound(Exception):
    """No record of that id that this caller may see."""


class PreconditionFailed(Exception):
    """The thing is at another revision than `If-Match` says."""


class TokenRequestRefused(Exception):
    """A request for a token that cannot be one, by its OAuth 2.0 name (RFC 6749, section 5.2) and in words."""

    def __init__(self, error: str, words: str) -> None:
        super().__init__()
        self.error = error
        self.words = words


class InvalidParameter(Exception):
    """A query or path parameter is not what the route takes."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__()
        self.name = name
        self.rule = rule


#: From a fact to its problem; a subclass may stand for itself.
TABLE: dict[type[Exception], Problem] = {
    BrokenJson: BROKEN_JSON,
    AmbiguousCredential: MALFORMED_REQUEST,
    DuplicateParameter: MALFORMED_REQUEST,
    ClientGone: MALFORMED_REQUEST,
    MalformedForm: MALFORMED_REQUEST,
    BodyTooSlow: MALFORMED_REQUEST,
    NotAuthenticated: UNAUTHORIZED,
    SignInRefused: UNAUTHORIZED,
    NotAllowed: FORBIDDEN,
    PasswordChangeRequired: PASSWORD_CHANGE_REQUIRED,
    NoSuchName: NOT_FOUND,
    NotFound: NOT_FOUND,
    NameTaken: CONFLICT,
    WrongState: CONFLICT,
    ChangedMeanwhile: CONFLICT,
    PreconditionFailed: PRECONDITION_FAILED,
    TokenRequestRefused: MALFORMED_REQUEST,
    ModelNotFound: NOT_FOUND,
    RecordNotFound: NOT_FOUND,
    NotAcceptable: NOT_ACCEPTABLE,
    BodyTooLarge: TOO_LARGE,
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE,
    InvalidRows: INVALID_ROWS,
    InvalidBody: INVALID_BODY,
    InvalidValue: INVALID_BODY,
    InvalidParameter: INVALID_PARAMETER,
    InvalidFilter: INVALID_PARAMETER,
    RequestValidationError: INVALID_PARAMETER,
    ExceedsQuota: EXCEEDS_QUOTA,
    QuotaExceeded: QUOTA_EXCEEDED,
    TooManyAtOnce: TOO_MANY_AT_ONCE,
    TooManyFailures: TOO_MANY_FAILURES,
    TooManyFailedSignIns: TOO_MANY_SIGN_INS,
    TooManySignIns: OVERLOADED,
    LogUnavailable: LOG_UNAVAILABLE,
    SearchTooLong: SEARCH_TOO_LONG,
    DirectoryUnavailable: DIRECTORY_UNAVAILABLE,
    DatabaseUnavailable: DATABASE_UNAVAILABLE,
    ModelNotAvailable: MODEL_NOT_AVAILABLE,
    ModelFailed: MODEL_NOT_AVAILABLE,
    DeadlineExceeded: DEADLINE,
}

_STATUSES = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}

#: What this very refusal adds to its problem: the words of `detail`, and further members.
_DETAILS: dict[type[Exception], Callable[[Any], tuple[str, dict[str, Any]]]] = {
    BrokenJson: lambda e: (e.reason, {}),
    AmbiguousCredential: lambda _: ("more than one credential was sent: send one", {}),
    DuplicateParameter: lambda _: ("a query parameter was given more than once", {}),
    BodyTooSlow: lambda _: ("the body did not arrive in time", {}),
    ClientGone: lambda _: ("the caller hung up before the answer was there", {}),
    MalformedForm: lambda _: ("the body is not a multipart form", {}),
    NotAllowed: lambda e: (f"this needs {' or '.join(e.needed)}", {}),
    NameTaken: lambda e: (str(e), {}),
    WrongState: lambda e: (str(e), {}),
    ChangedMeanwhile: lambda e: (str(e), {}),
    InvalidValue: lambda e: (str(e), {}),
    InvalidBody: lambda e: (f"{len(e.errors)} places are wrong", {"errors": _errors(e.errors)}),
    TokenRequestRefused: lambda e: (e.words, {"error": e.error}),
    InvalidRows: lambda e: (f"{len(e.errors)} places are wrong", {"errors": _errors(e.errors)}),
    InvalidParameter: lambda e: (f"{e.name}: {e.rule}", {}),
    InvalidFilter: lambda e: (f"{e.name}: {e.rule}", {}),
    RequestValidationError: lambda e: (_parameters(e), {}),
    ExceedsQuota: lambda e: (f"more rows than {', '.join(e.policies)} could ever allow", _violated(e.policies)),
    QuotaExceeded: lambda e: (f"{', '.join(e.policies)}: wait {e.retry_after_seconds} s", _violated(e.policies)),
    TooManyAtOnce: lambda e: (f"at most {e.concurrency} requests at once", {}),
}  # fmt: skip


def answer_problem(request: Request, error: Exception) -> Response:
    """The response to a fact; counts failures by address, and has a known caller's refusal recorded."""
    try:
        _count_failure(request, error)
    except TooManyFailures as throttled:
        error = throttled
    problem = problem_of(error)
    call = call_of(request)
    if call.is_prediction and isinstance(call.principal, Partner):
        parts_of(request).predictor.note_refusal(call, call.principal, problem.name, problem.status)
    describe = _DETAILS.get(type(error))
    detail, members = describe(error) if describe else (problem.explanation, {})
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="adyton"'
    if problem.status in (429, 503):
        headers["Retry-After"] = str(getattr(error, "retry_after_seconds", RETRY_SECONDS))
    body = problem_body(problem, detail, call.request_id, members)
    return Response(body, problem.status, headers, media_type="application/problem+json")


def problem_of(error: Exception) -> Problem:
    """The problem that a fact is; `INTERNAL` for what nobody expected."""
    if isinstance(error, HTTPException):
        return _STATUSES.get(error.status_code, MALFORMED_REQUEST if error.status_code < 500 else INTERNAL)
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), INTERNAL)


def problem_body(problem: Problem, detail: str, request_id: str, members: dict[str, Any]) -> bytes:
    """The body of a problem. The detail never holds anything that came from the caller."""
    kind = QUOTA_EXCEEDED_TYPE if problem is QUOTA_EXCEEDED else f"/problems/{problem.name}"
    document = {"type": kind, "title": problem.title, "status": problem.status, "detail": detail}
    return orjson.dumps(document | {"request_id": request_id} | members)


def _count_failure(request: Request, error: Exception) -> None:
    is_unknown_path = isinstance(error, HTTPException) and error.status_code == 404
    is_failed_sign_in = isinstance(error, SignInRefused | TooManyFailedSignIns)
    if is_unknown_path or is_failed_sign_in or (isinstance(error, NotAuthenticated) and error.was_presented):
        parts_of(request).failures.count(call_of(request).address)


def _errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    return [{"at": error.at, "rule": error.rule, "message": error.message} for error in errors]


def _parameters(error: RequestValidationError) -> str:
    """The names of the parameters that are wrong: ours, as the route declares them."""
    return "wrong: " + ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))


def _violated(policies: Sequence[str]) -> dict[str, Any]:
    return {"violated-policies": list(policies)}
