"""What a refusal looks like: one table from facts to problems (RFC 9457), and the only place that knows statuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.body import BodyTooLarge, ClientGone, UnsupportedMediaType
from api.dependencies import NotAcceptable, ScopeMissing, call_of, parts_of
from api.direct_route import DuplicateParameter
from audit.writer import LogUnavailable
from auth.directory import DirectoryUnavailable
from auth.security import AmbiguousCredential, NotAuthenticated
from db.database import DatabaseUnavailable
from inference.registry import ModelNotAvailable, ModelNotFound
from inference.schema import BrokenJson, InvalidRows
from quotas.failures import TooManyFailures
from quotas.limiter import ExceedsQuota, QuotaExceeded, TooManyAtOnce
from serving.predictor import DeadlineExceeded, ModelFailed

QUOTA_EXCEEDED_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"
RETRY_SECONDS = 1


class RecordNotFound(Exception):
    """No record of that id that this caller may see."""


class InvalidParameter(Exception):
    """A query or path parameter is not what the route takes."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__()
        self.name = name
        self.rule = rule


class Problem(NamedTuple):
    """A kind of refusal: its name (`/problems/<name>`), status and title, and what a person should know of it."""

    name: str
    status: int
    title: str
    explanation: str


def _problem(name: str, status: int, title: str, explanation: str) -> Problem:
    return Problem(name, status, title, explanation)


BROKEN_JSON = _problem(
    "broken-json",
    400,
    "The body is not JSON",
    "Send one JSON text in UTF-8 (RFC 8259), without NaN or infinities and with each member once.",
)
MALFORMED_REQUEST = _problem(
    "malformed-request",
    400,
    "The request is malformed",
    "The request breaks the rules of HTTP, or gives a parameter or a credential more than once.",
)
UNAUTHORIZED = _problem(
    "unauthorized",
    401,
    "A valid credential is needed",
    "Send a key as `X-API-Key: ady_...` or `Authorization: Bearer ady_...`. It may be missing, mistyped, unknown, expired, revoked, not valid yet, or used from an address it is not for; which of these is not said. Ask whoever gave you the key.",
)
FORBIDDEN = _problem(
    "forbidden",
    403,
    "The credential does not allow this",
    "The key is valid and lacks the scope that the detail names. Ask your administrator for a key with that scope.",
)
NOT_FOUND = _problem(
    "not-found",
    404,
    "There is no such thing",
    "Nothing of that name exists, or nothing that you may see. `GET /v1/models` lists the models you may use; `/docs` lists the routes.",
)
METHOD_NOT_ALLOWED = _problem(
    "method-not-allowed", 405, "The route has no such method", "The `Allow` header names the methods of this route."
)
NOT_ACCEPTABLE = _problem(
    "not-acceptable", 406, "Only JSON is served here", "Send `Accept: application/json`, or no `Accept` at all."
)
TOO_LARGE = _problem(
    "too-large",
    413,
    "The request is too large",
    "The body or the head of the request is longer than this server takes. Send fewer rows at once.",
)
UNSUPPORTED_MEDIA_TYPE = _problem(
    "unsupported-media-type",
    415,
    "Only plain JSON is taken here",
    "Send `Content-Type: application/json` and no `Content-Encoding`.",
)
INVALID_ROWS = _problem(
    "invalid-rows",
    422,
    "The rows are not what the model takes",
    "Each entry of `errors` names a place in the body (a JSON Pointer) and the rule that it breaks. `GET /v1/models/{model}` shows the JSON Schema of a row.",
)
INVALID_PARAMETER = _problem(
    "invalid-parameter",
    422,
    "A parameter is not what the route takes",
    "The detail names the parameter and what it may be; `/docs` describes each.",
)
EXCEEDS_QUOTA = _problem(
    "exceeds-quota",
    422,
    "More rows than your limits could ever allow",
    "No waiting would help: split the batch into smaller ones. `GET /v1/usage` shows your limits.",
)
QUOTA_EXCEEDED = _problem(
    "quota-exceeded",
    429,
    "A limit is spent",
    "Wait as many seconds as `Retry-After` says. `RateLimit` shows what is left on every answer, and `GET /v1/usage` each of your limits.",
)
TOO_MANY_AT_ONCE = _problem(
    "too-many-at-once",
    429,
    "Too many requests are under way",
    "Your tenant has as many requests under way at once as its plan allows. Wait for one to be answered.",
)
TOO_MANY_FAILURES = _problem(
    "too-many-failures",
    429,
    "Too many failures from this address",
    "This address has sent too many unknown credentials or asked for too many unknown paths in the last minute. A valid credential is still served.",
)
INTERNAL = _problem(
    "internal", 500, "Something went wrong here", "The fault is the server's. Tell its operator the `request_id`."
)
LOG_UNAVAILABLE = _problem(
    "log-unavailable",
    503,
    "The prediction log is not available",
    "No prediction leaves without a durable record of it. Nothing was charged; try again later.",
)
DIRECTORY_UNAVAILABLE = _problem(
    "directory-unavailable",
    503,
    "It cannot be known who is calling",
    "The database has not answered for a second. Try again later.",
)
DATABASE_UNAVAILABLE = _problem("database-unavailable", 503, "The database is not available", "Try again later.")
MODEL_NOT_AVAILABLE = _problem(
    "model-not-available",
    503,
    "The model is not available",
    "The model could not be loaded, or failed on these rows. Nothing was charged; tell the operator the `request_id`.",
)
DEADLINE = _problem(
    "deadline", 503, "It took too long", "The request was not answered within its deadline. Nothing was charged."
)

PROBLEMS = {problem.name: problem for problem in list(globals().values()) if isinstance(problem, Problem)}

#: From a fact to its problem; a subclass may stand for itself.
TABLE: dict[type[Exception], Problem] = {
    BrokenJson: BROKEN_JSON,
    AmbiguousCredential: MALFORMED_REQUEST,
    DuplicateParameter: MALFORMED_REQUEST,
    ClientGone: MALFORMED_REQUEST,
    NotAuthenticated: UNAUTHORIZED,
    ScopeMissing: FORBIDDEN,
    ModelNotFound: NOT_FOUND,
    RecordNotFound: NOT_FOUND,
    NotAcceptable: NOT_ACCEPTABLE,
    BodyTooLarge: TOO_LARGE,
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE,
    InvalidRows: INVALID_ROWS,
    InvalidParameter: INVALID_PARAMETER,
    RequestValidationError: INVALID_PARAMETER,
    ExceedsQuota: EXCEEDS_QUOTA,
    QuotaExceeded: QUOTA_EXCEEDED,
    TooManyAtOnce: TOO_MANY_AT_ONCE,
    TooManyFailures: TOO_MANY_FAILURES,
    LogUnavailable: LOG_UNAVAILABLE,
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
    ScopeMissing: lambda e: (f"the key needs the scope {' or '.join(e.scopes)}", {}),
    InvalidRows: lambda e: (f"{len(e.errors)} places are wrong", {"errors": _errors(e.errors)}),
    InvalidParameter: lambda e: (f"{e.name}: {e.rule}", {}),
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
    if call.is_prediction and call.principal is not None:
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
    if is_unknown_path or (isinstance(error, NotAuthenticated) and error.was_presented):
        parts_of(request).failures.count(call_of(request).address)


def _errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    return [{"at": error.at, "rule": error.rule, "message": error.message} for error in errors]


def _parameters(error: RequestValidationError) -> str:
    """The names of the parameters that are wrong: ours, as the route declares them."""
    return "wrong: " + ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))


def _violated(policies: Sequence[str]) -> dict[str, Any]:
    return {"violated-policies": list(policies)}
