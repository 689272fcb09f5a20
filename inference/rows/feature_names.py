"""Names of features: any text that can be stored and sent. Spreadsheets write no-break spaces, tabs and line breaks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from values.texts import is_storable, shown

MAX_NAME_CHARACTERS = 200


def name_fault(name: str) -> str | None:
    """Says why no feature may have that name; None if one may."""
    if not name:
        return "a feature has an empty name: give its column a name, and train the model with it"
    if len(name) > MAX_NAME_CHARACTERS:
        return f'the name of the feature "{shown(name[:40])}..." has more than {MAX_NAME_CHARACTERS} characters'
    if not is_storable(name):
        return f'the name of the feature "{shown(name)}" has a NUL or a lone surrogate, which cannot be sent: rename it'
    return None


def with_likeness(name: str, others: Iterable[str]) -> str:
    """The name for a refusal, beside the one of the others that differs from it only in what is hardly seen."""
    like = next((other for other in others if _letters(other) == _letters(name)), None)
    return name if like is None else f'{name} (it has "{shown(like)}", which looks like it)'


def _letters(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", name) if char.isalnum()).casefold()
