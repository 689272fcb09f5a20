"""Words for operators about code that a model needs: what is missing or changed, and what mends it."""

from __future__ import annotations

import re

SETTING = "ADYTON_MODELS_PATH"
_MEND = "put it back, or register the model's file again"
_NO_ATTRIBUTE = (
    re.compile(r"Can't get attribute '(?P<name>.+?)' on <module '(?P<module>.+?)'"),
    re.compile(r"module '(?P<module>.+?)' has no attribute '(?P<name>.+?)'"),
)


class AlteredCode(ImportError):
    """A module is not as it was when the version was examined; the words name it, and are for the operator."""


def words_of(error: Exception) -> str:
    """Says which code a model's file needs that is not there, and where to put it."""
    if isinstance(error, AlteredCode):
        return str(error)
    line = (str(error).splitlines() or [""])[0][:200]
    found = next(filter(None, (form.search(line) for form in _NO_ATTRIBUTE)), None)
    if found is not None and found["module"] == "__main__":
        return (
            f"the file needs {found['name']}, which was defined in the notebook or script that saved the file: move it"
            f" into a module of its own, put that into a folder of {SETTING}, and save the model again with it"
        )
    if found is not None:
        return f"the file needs {found['name']}, which the module {found['module']} does not have here"
    where = f": put it into a folder of {SETTING}" if isinstance(error, ModuleNotFoundError) else ""
    return f"the file needs code that is not installed here: {line}{where}"


def changed(name: str) -> str:
    return f"the module {name} of {SETTING} has changed since the version was registered: {_MEND}"


def missing(name: str) -> str:
    return f"the module {name} is missing from the folders of {SETTING}: {_MEND}"


def shadowed(name: str) -> str:
    return f"the module {name} of {SETTING} is shadowed by another of that name, which Python finds first: rename one"
