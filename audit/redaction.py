"""Redacts rows and predictions before they are stored.

A model's schema says for each feature what may be stored of it (`pii`). Whatever the schema says, texts are searched
for secrets and personal data.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

import orjson

from audit.searching import MASK, scrub, scrub_all, scrub_secrets

__all__ = ["Pii", "Redactor", "fingerprint", "scrub", "scrub_secrets"]

Pii = Literal["no", "mask", "fingerprint", "drop"]
#: A model has few labels and names of classes: short ones are searched once.
_REMEMBERED_CHARACTERS, _REMEMBERED = 200, 4096
#: A version has one set of class names; its redactor keeps several, in case.
_MAX_SETS_OF_NAMES = 8
_NOTHING: Mapping[str, str] = {}


class Redactor:
    """Turns validated rows and predictions into the JSON that may be stored, for one version's schema.

    `texts` are the features to be searched: those with free text as values. A feature that is a date by its schema is
    not among them.
    """

    def __init__(self, pii: Mapping[str, Pii], *, texts: Collection[str]) -> None:
        self._changing = [(name, level) for name, level in pii.items() if level != "no"]
        self._free = [name for name in texts if pii.get(name, "no") == "no"]
        self._is_needed = bool(self._changing or self._free)
        #: For each set of class names that was found to hold nothing, the labels that need no search.
        self._clean: dict[tuple[str, ...], frozenset[Any]] = {}

    def inputs(self, rows: Sequence[Mapping[str, Any]], fingerprint_key: bytes) -> str:
        """The rows as JSON text, without what the schema forbids to store."""
        if self._is_needed:
            rows = self._stored([dict(row) for row in rows], fingerprint_key)
        return orjson.dumps(rows).decode()

    def _stored(self, rows: Sequence[dict[str, Any]], fingerprint_key: bytes) -> Sequence[dict[str, Any]]:
        """The same rows, changed feature by feature."""
        for name, level in self._changing:
            column = [row for row in rows if name in row]
            for row in column:
                if level == "drop":
                    del row[name]
                elif level == "mask":
                    row[name] = MASK
                else:
                    row[name] = fingerprint(fingerprint_key, name, row[name])
        places = [(row, name) for row in rows for name in self._free if isinstance(row.get(name), str)]
        for (row, name), stored in zip(places, scrub_all([row[name] for row, name in places]), strict=True):
            row[name] = stored
        return rows

    def changed(self, labels: Sequence[Any], names: tuple[str, ...]) -> Mapping[str, str]:
        """Other texts for the labels of an answer, and the names in it, that must not be stored. Nearly always none.

        A label may be a list, of several labels or outputs; `names` are those of its classes and scores.
        """
        if labels and isinstance(labels[0], list):
            labels = list(chain.from_iterable(labels))
        if not names:
            return _NOTHING if str not in set(map(type, labels)) else self._searched(set(labels), names)
        known = self._clean.get(names)
        return _NOTHING if known is not None and known.issuperset(labels) else self._searched(set(labels), names)

    def _searched(self, labels: Collection[Any], names: tuple[str, ...]) -> Mapping[str, str]:
        texts = {label for label in labels if isinstance(label, str)}
        # A class that is a number is no text, however long the number is.
        changed = _apart([name for name in names if texts or not _is_number(name)])
        if names and not changed:
            self._keep(names, set(labels) - texts)
        unknown = {label: _remembered(label) for label in texts.difference(names)}
        return changed | {label: stored for label, stored in unknown.items() if stored != label}

    def _keep(self, names: tuple[str, ...], numbers: Collection[Any]) -> None:
        """Remembers that those names hold nothing, and the labels beside them that are no texts."""
        known = self._clean.get(names) or frozenset(name for name in names if _remembered(name) == name)
        if len(self._clean) >= _MAX_SETS_OF_NAMES:
            self._clean.clear()
        self._clean[names] = known.union(numbers) if len(known) < _REMEMBERED else known


def _apart(names: Sequence[str]) -> dict[str, str]:
    """A replacement for each name that must not be stored; no two classes get the same."""
    changed: dict[str, str] = {}
    for name in dict.fromkeys(names):
        stored = masked = _remembered(name)
        if masked == name:
            continue
        number = 1
        while stored in changed.values() or stored in names:
            number += 1
            stored = f"{masked} {number}"
        changed[name] = stored
    return changed


def _is_number(text: str) -> bool:
    """Whether the name is that of a number, or of a pair of them."""
    try:
        for each in text.split("/"):
            float(each)
    except ValueError:
        return False
    return True


def _remembered(text: str) -> str:
    return _scrub_once(text) if len(text) <= _REMEMBERED_CHARACTERS else scrub(text)


@lru_cache(maxsize=_REMEMBERED)
def _scrub_once(text: str) -> str:
    return scrub(text)


def fingerprint(key: bytes, name: str, value: Any) -> str:
    """HMAC-SHA-256 of a value under its tenant's key, apart for each feature; the same value gives the same text."""
    # `hmac.digest` would release the interpreter lock, and taking it again costs more than the digest.
    return hmac.new(key, orjson.dumps([name, value]), hashlib.sha256).hexdigest()
