"""The reasons for which a change is refused."""

from __future__ import annotations

from values import names, time_zones


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
    if not names.is_name(name):
        raise InvalidValue(f"a name {names.RULE}")
    return name


def checked_time_zone(name: str) -> str:
    """Returns the time zone's name. Raises `InvalidValue`."""
    if not time_zones.is_time_zone(name):
        raise InvalidValue(f"a time zone {time_zones.RULE}")
    return name
