"""Facts that stop a request and that no lower room can know."""

from __future__ import annotations

from typing import ClassVar

from serving.problems import Problem


class TransportRefusal(Exception):
    """The base of facts that only a transport can know, such as a body that is too large; each names its problem."""

    problem: ClassVar[Problem]


class NotAllowed(Exception):
    """The caller is known, and has none of the scopes and roles in `needed`."""

    def __init__(self, needed: tuple[str, ...]) -> None:
        super().__init__()
        self.needed = needed


class PasswordChangeRequired(Exception):
    """A person whose password was set for them, and who has not changed it yet."""


class NoScores(Exception):
    """The caller asks for scores, and the version that answers has none."""


class ModelFailed(Exception):
    """The model raised on the caller's rows; `at` is the JSON Pointer of the row at fault, where it was found."""

    def __init__(self, at: str | None) -> None:
        super().__init__()
        self.at = at


class ClientGone(Exception):
    """The caller hung up before the answer was ready."""


class BodyTooSlow(Exception):
    """The caller did not send the whole body in time."""


class DeadlineExceeded(Exception):
    """The request took longer than it may; nothing was answered.

    `is_callers` says whether the time went into the caller's own rows or sending, and not into waiting for the service.
    """

    def __init__(self, *, is_callers: bool) -> None:
        super().__init__()
        self.is_callers = is_callers
