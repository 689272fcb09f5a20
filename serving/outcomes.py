"""The problem of each fact: a refusal's name in the log and to the caller, and whose fault it is."""

from __future__ import annotations

from audit.waiting import LogUnavailable
from auth.credentials import AmbiguousCredential, NotAuthenticated
from auth.directory import DirectoryUnavailable
from auth.sign_in import SignInRefused
from auth.sign_in_failures import TooManyFailedSignIns
from auth.turns import TooManySignIns
from db.database import DatabaseUnavailable
from inference.registry import ModelNotAvailable, ModelNotFound
from inference.rows.schema import InvalidRows
from quotas.failures import TooManyFailures
from quotas.limiter import ExceedsQuota, QuotaExceeded, TooManyAtOnce
from quotas.store import StoreUnavailable
from serving import problems
from serving.facts import (
    BodyTooSlow,
    ClientGone,
    DeadlineExceeded,
    ModelFailed,
    NoScores,
    NotAllowed,
    PasswordChangeRequired,
    TransportRefusal,
)
from serving.load import Overloaded
from serving.problems import Problem
from values.strict_json import BrokenJson

#: The problem of each fact; a subclass has its base's problem, unless it stands here itself.
TABLE: dict[type[Exception], Problem] = {
    BrokenJson: problems.BROKEN_JSON,
    AmbiguousCredential: problems.MALFORMED_REQUEST,
    ClientGone: problems.MALFORMED_REQUEST,
    BodyTooSlow: problems.MALFORMED_REQUEST,
    NotAuthenticated: problems.UNAUTHORIZED,
    SignInRefused: problems.UNAUTHORIZED,
    NotAllowed: problems.FORBIDDEN,
    PasswordChangeRequired: problems.PASSWORD_CHANGE_REQUIRED,
    ModelNotFound: problems.NOT_FOUND,
    InvalidRows: problems.INVALID_ROWS,
    NoScores: problems.INVALID_PARAMETER,
    ExceedsQuota: problems.EXCEEDS_QUOTA,
    QuotaExceeded: problems.QUOTA_EXCEEDED,
    TooManyAtOnce: problems.TOO_MANY_AT_ONCE,
    TooManyFailures: problems.TOO_MANY_FAILURES,
    TooManyFailedSignIns: problems.TOO_MANY_SIGN_INS,
    TooManySignIns: problems.OVERLOADED,
    LogUnavailable: problems.LOG_UNAVAILABLE,
    StoreUnavailable: problems.LIMITS_UNAVAILABLE,
    DirectoryUnavailable: problems.DIRECTORY_UNAVAILABLE,
    DatabaseUnavailable: problems.DATABASE_UNAVAILABLE,
    ModelNotAvailable: problems.MODEL_NOT_AVAILABLE,
    ModelFailed: problems.MODEL_FAILED,
    DeadlineExceeded: problems.DEADLINE,
    Overloaded: problems.OVERLOADED,
}

#: Failures of the service itself, whoever asked and whatever for.
_OF_THE_SERVICE = (
    Overloaded,
    LogUnavailable,
    StoreUnavailable,
    DirectoryUnavailable,
    DatabaseUnavailable,
    ModelNotAvailable,
)


def problem_of(error: BaseException) -> Problem | None:
    """The problem of a fact; None if this room does not know the fact."""
    if isinstance(error, TransportRefusal):
        return error.problem
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), None)


def is_the_services_fault(error: BaseException) -> bool:
    """Whether the service failed, and not the caller or the caller's rows: then the charge is given back."""
    if isinstance(error, DeadlineExceeded):
        return not error.is_callers
    return isinstance(error, _OF_THE_SERVICE)
