"""Names of features: any text that can be stored and sent. Spreadsheets write no-break spaces, tabs and line breaks."""

from __future__ import annotations

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
