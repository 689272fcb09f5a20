"""Subjects: the caller's name in tokens, records and events, `key:ID` or `user:ID`."""

from __future__ import annotations

from typing import Literal, Self, cast

Kind = Literal["key", "user"]
_KINDS = ("key", "user")


class Subject(str):
    """A text of that form; `kind` and `id` are its two parts."""

    __slots__ = ()

    @classmethod
    def of_key(cls, key_id: str) -> Self:
        """Returns the subject of an API key."""
        return cls(f"key:{key_id}")

    @classmethod
    def of_user(cls, user_id: str) -> Self:
        """Returns the subject of a person."""
        return cls(f"user:{user_id}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the subject that a text writes. Raises `ValueError` for any other text."""
        kind, colon, id_ = text.partition(":")
        if kind not in _KINDS or not colon or not id_:
            raise ValueError("a subject is written key:ID or user:ID")
        return cls(text)

    @property
    def kind(self) -> Kind:
        """The kind of the caller."""
        return cast("Kind", self.partition(":")[0])

    @property
    def id(self) -> str:
        """The key's or the person's id."""
        return self.partition(":")[2]
