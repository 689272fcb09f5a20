"""The reasons for which a change is refused."""

from __future__ import annotations

import re

# A colon, a slash or a capital in a name would make it ambiguous in a path, a policy or a route.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Refused(Exception):
    """The change was not made; the words are for the person who asked for it."""


class NotFound(Refused):
    """The object does not exist."""


class NameTaken(Refused):
    """Another object has that name already."""


class InvalidValue(Refused):
    """A value is not one that the object can have: a name, a scope, an address range, an instant."""


class WrongState(Refused):
    """The object's state does not allow the change."""


def checked_name(name: str) -> str:
    """Returns the name if it is well formed. Raises `InvalidValue`."""
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            "a name has 1 to 63 of a-z, 0-9, dot, dash and underscore, and starts with a letter or digit"
        )
    return name
