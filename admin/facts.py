"""What can keep a change from being made."""

from __future__ import annotations

from values import names


class Refused(Exception):
    """A change that is not made; its words are for whoever asked for it."""


class NotFound(Refused):
    """There is no such object."""


class NameTaken(Refused):
    """Another object has that name already."""


class InvalidValue(Refused):
    """A value that cannot be: a name, a scope, an address range, an instant."""


class WrongState(Refused):
    """The object's state does not allow the change."""


def checked_name(name: str) -> str:
    """The name, if it is one. Raises `InvalidValue`."""
    if not names.is_name(name):
        raise InvalidValue(f"a name {names.RULE}")
    return name
