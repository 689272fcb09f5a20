"""Every kind of refusal: its name, status and title, and an explanation for people (RFC 9457).

Records state the name and the status of a refusal, whatever the transport; the status is HTTP's.
"""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """A kind of refusal; its type is `/problems/<name>`, where its explanation can be read."""

    name: str
    status: int
    title: str
    explanation: str


BROKEN_JSON = Problem(
    "broken-json",
    400,
    "The body is not JSON",
    "Send one JSON text in UTF-8 (RFC 8259), without NaN or infinities and with each member once.",
)
MALFORMED_REQUEST = Problem(
    "malformed-request",
    400,
    "The request is malformed",
    "The request breaks the rules of HTTP, or gives a parameter or a credential more than once.",
)
PREFLIGHT_REFUSED = Problem(
    "preflight-refused",
    400,
    "A page of another origin may not send this",
    "A browser asked whether a page may send a request here, and it may not: the detail says why. The operator lists "
    "the origins that may, in `ADYTON_CORS_ORIGINS`.",
)
UNAUTHORIZED = Problem(
    "unauthorized",
    401,
    "A valid credential is needed",
    "Send a key as `X-API-Key: ady_...` or `Authorization: Bearer ady_...`, or a token as `Authorization: Bearer ...`. "
    "It may be missing, mistyped, unknown, expired, revoked, not valid yet, used from an address it is not for, or "
    "not for this route; which of these is not said. Ask whoever gave it to you.",
)
FORBIDDEN = Problem(
    "forbidden",
    403,
    "The credential does not allow this",
    "The credential is valid and lacks the scope or the role that the detail names. Ask your administrator for it.",
)
PASSWORD_CHANGE_REQUIRED = Problem(
    "password-change-required",
    403,
    "The password must be changed first",
    "Your password was set for you. Choose one of your own with `POST /auth/password`, then sign in again.",
)
NOT_FOUND = Problem(
    "not-found",
    404,
    "It does not exist",
    "Nothing of that name exists, or nothing that you may see. `GET /v1/models` lists the models you may "
    "use; `/docs` lists the routes.",
)
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed",
    405,
    "The route has no such method",
    "The `Allow` header names the methods of this route.",
)
NOT_ACCEPTABLE = Problem(
    "not-acceptable",
    406,
    "Only JSON is served here",
    "Send `Accept: application/json`, or no `Accept` at all.",
)
CONFLICT = Problem(
    "conflict",
    409,
    "The state does not allow the change",
    "The name is taken, or the thing is not in a state for this change, or somebody changed it since you looked. "
    "Look at it again, and decide again.",
)
PRECONDITION_FAILED = Problem(
    "precondition-failed",
    412,
    "It has changed since the version in `If-Match`",
    "Somebody changed it since you looked. Look at it again, and send the `ETag` that you got then.",
)
TOO_LARGE = Problem(
    "too-large",
    413,
    "The request is too large",
    "The body or the head of the request is longer than this server takes. Send fewer rows at once.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type",
    415,
    "The body is of a type that is not taken here",
    "Send `Content-Type: application/json` (a form to `/auth/token` and `/auth/revoke`) in UTF-8, and no "
    "`Content-Encoding`.",
)
INVALID_ROWS = Problem(
    "invalid-rows",
    422,
    "The rows are not what the model takes",
    "Each entry of `errors` points into the body (a JSON Pointer) and names the rule that is broken there. `GET "
    "/v1/models/{model}` shows the JSON Schema of a row.",
)
INVALID_BODY = Problem(
    "invalid-body",
    422,
    "The body is not what the route takes",
    "Each entry of `errors` points into the body (a JSON Pointer) and names the rule that is broken there; or the "
    "detail says what is wrong. `/docs` shows each route's body.",
)
INVALID_PARAMETER = Problem(
    "invalid-parameter",
    422,
    "A parameter is not what the route takes",
    "The detail names the parameter and what it may be; `/docs` describes each.",
)
EXCEEDS_QUOTA = Problem(
    "exceeds-quota",
    422,
    "More rows than your limits could ever allow",
    "Waiting does not help: split the batch into smaller ones. `GET /v1/usage` shows your limits.",
)
QUOTA_EXCEEDED = Problem(
    "quota-exceeded",
    429,
    "A limit is spent",
    "Wait as many seconds as `Retry-After` says. On every answer `RateLimit` shows what is left; `GET /v1/usage` shows "
    "each of your limits.",
)
TOO_MANY_AT_ONCE = Problem(
    "too-many-at-once",
    429,
    "Too many requests are under way",
    "Your tenant has as many requests under way at once as its plan allows. Wait for one to be answered.",
)
TOO_MANY_SIGN_INS = Problem(
    "too-many-sign-ins",
    429,
    "Too many sign-ins have failed",
    "Signing in under this name has failed too often in a row. Wait as many seconds as `Retry-After` says.",
)
TOO_MANY_FAILURES = Problem(
    "too-many-failures",
    429,
    "Too many failures from this address",
    "This address has sent too many unknown credentials or asked for too many unknown paths in the last "
    "minute. A valid credential is still served.",
)
INTERNAL = Problem(
    "internal",
    500,
    "Something went wrong here",
    "The fault is the server's. Tell its operator the `request_id`.",
)
OVERLOADED = Problem(
    "overloaded",
    503,
    "Too much is asked at once",
    "More is waiting than can be answered in time: predictions for the prediction log or for the model, or people who "
    "sign in. Nothing was charged. Try again after as many seconds as `Retry-After` says.",
)
TOO_MANY_CONNECTIONS = Problem(
    "too-many-connections",
    503,
    "There are too many connections",
    "Your address, or all addresses together, have as many connections as this server allows, and each is busy. Try "
    "again in a moment, or use the connections that you have.",
)
LOG_UNAVAILABLE = Problem(
    "log-unavailable",
    503,
    "The prediction log is not available",
    "No prediction leaves without a durable record of it. Nothing was charged; try again later.",
)
SEARCH_TOO_LONG = Problem(
    "search-too-long",
    503,
    "The search took too long",
    "The search of the prediction log did not end in time; the wait for its turn counts too. Narrow it, best by `from` "
    "and `to`, or ask again when fewer searches of yours are under way.",
)
LIMITS_UNAVAILABLE = Problem(
    "limits-unavailable",
    503,
    "Limits cannot be counted",
    "The store that counts requests does not answer, or is still being told what was spent. Nothing is answered that "
    "could not be counted; try again in a moment.",
)
DIRECTORY_UNAVAILABLE = Problem(
    "directory-unavailable",
    503,
    "The caller cannot be looked up",
    "The database has not answered for a second. Try again later.",
)
DATABASE_UNAVAILABLE = Problem(
    "database-unavailable",
    503,
    "The database is not available",
    "Try again later.",
)
MODEL_NOT_AVAILABLE = Problem(
    "model-not-available",
    503,
    "The model is not available",
    "The model could not be loaded, or its calls hang. Nothing was charged; tell the operator the `request_id`.",
)
MODEL_FAILED = Problem(
    "model-failed",
    500,
    "The model failed on these rows",
    "The model raised an error instead of a prediction. `errors` points to the row if it could be found: send "
    "the others without it. The request was charged and recorded; the same rows would fail again.",
)
DEADLINE = Problem(
    "deadline",
    503,
    "It took too long",
    "The request was not answered within its deadline. Nothing was charged, unless your own rows or your own sending "
    "took the time.",
)

PROBLEMS = {problem.name: problem for problem in list(globals().values()) if isinstance(problem, Problem)}
