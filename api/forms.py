"""Reads members of bodies that several routes have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field

from api.http.json_body import Form


def given_texts(body: Form, name: str) -> list[str] | None:
    """Returns the texts of a member: None if the body does not have it, and an empty list for `null`."""
    return (getattr(body, name) or []) if name in body.model_fields_set else None


# What is shown (`limits`, `time_zone`) can be sent back; the command line's names are taken too, and never both.
LIMITS = AliasChoices("limits", "limit")
TIME_ZONE = AliasChoices("time_zone", "timezone")
TimeZone = Annotated[str, Field(max_length=64, description="An IANA name; `timezone` is taken as well.")]
LIMITS_WORDS = "`100/minute`, `5/30 seconds`, `9000/calendar-month`, `iris: 9/second`; `limit` is taken as well."
