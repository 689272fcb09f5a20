"""Finds the caller who holds a presented credential, and checks that this caller may call now."""

from __future__ import annotations

import time
from typing import NamedTuple

from auth.api_keys import MalformedKey
from auth.directory import Directory
from auth.principal import Principal
from auth.tokens import InvalidToken


class NotAuthenticated(Exception):
    """No credential was presented, or it does not work now. The caller is not told why.

    The throttle of failures reads `was_presented`.
    """

    def __init__(self, *, was_presented: bool) -> None:
        super().__init__()
        self.was_presented = was_presented


class AmbiguousCredential(Exception):
    """The caller presented several credentials: which of them decides must not depend on who reads first."""


class Presented(NamedTuple):
    """A credential as it was sent, a key or else a token, with its sender's address."""

    raw: bytes
    is_key: bool
    address: str


class Credentials:
    """Finds callers by what they present. Every method raises `NotAuthenticated` or `DirectoryUnavailable`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def holder(self, presented: Presented) -> Principal:
        """Returns the caller whose key or token this is, if it may be used now and from that address."""
        find = self._directory.find_key if presented.is_key else self._directory.find_token
        try:
            principal = await find(presented.raw)
        except (MalformedKey, InvalidToken):
            raise NotAuthenticated(was_presented=True) from None
        if (
            principal is None
            or not principal.may_call_at(time.time())
            or not principal.may_call_from(presented.address)
        ):
            raise NotAuthenticated(was_presented=True)
        self._directory.note_use(principal)
        return principal

    def still_stands(self, principal: Principal) -> bool:
        """Whether nothing has changed this caller since they were found; otherwise `holder` finds them again."""
        return self._directory.is_current(principal) and principal.may_call_at(time.time())
