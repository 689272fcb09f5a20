"""Redacts rows and predictions before they are stored.

A model's schema says for each feature what may be stored of it (`pii`). Whatever the schema says, texts are searched
for secrets and personal data.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

import orjson

from audit.searching import MASK, scrub, scrub_secrets

__all__ = ["Pii", "Redactor", "fingerprint", "scrub", "scrub_secrets"]

Pii = Literal["no", "mask", "fingerprint", "drop"]
#: A model has few labels and names of classes: short ones are searched once.
_REMEMBERED_CHARACTERS, _REMEMBERED = 200, 4096
#: A version has one set of class names; its redactor keeps several, in case.
_MAX_SETS_OF_NAMES = 8
_TEXTS = frozenset({str, list})


class Redactor:
    """Turns validated rows and predictions into the JSON that may be stored, for one version's schema.

    `texts` are the features to be searched: those with free text as values. A feature that is a date by its schema is
    not among them.
    """

    def __init__(self, pii: Mapping[str, Pii], *, texts: Collection[str]) -> None:
        self._levels = pii
        self._texts = frozenset(texts)
        self._is_needed = bool(texts) or any(level != "no" for level in pii.values())
        #: For each set of class names that was found to hold nothing, the labels that need no search.
        self._clean: dict[tuple[str, ...], frozenset[Any]] = {}

    def inputs(self, rows: Sequence[Mapping[str, Any]], fingerprint_key: bytes) -> str:
        """The rows as JSON text, without what the schema forbids to store."""
        if self._is_needed:
            rows = [self._row(row, fingerprint_key) for row in rows]
        return orjson.dumps(rows).decode()

    def _row(self, row: Mapping[str, Any], fingerprint_key: bytes) -> dict[str, Any]:
        stored = {}
        for name, value in row.items():
            level = self._levels.get(name, "no")
            if level == "mask":
                stored[name] = MASK
            elif level == "fingerprint":
                stored[name] = fingerprint(fingerprint_key, name, value)
            elif level == "no":
                stored[name] = scrub(value) if name in self._texts and isinstance(value, str) else value
        return stored

    def outputs(self, items: Sequence[Mapping[str, Any]]) -> str:
        """Predictions as JSON text, with their labels and class names searched where these are texts."""
        if not self._are_known(items) and (changed := self._changed(items)):
            items = [{name: _renamed(value, changed) for name, value in item.items()} for item in items]
        return orjson.dumps(items).decode()

    def _are_known(self, items: Sequence[Mapping[str, Any]]) -> bool:
        """Whether no search is needed: labels are numbers, or classes that held nothing. Nearly all are."""
        if not items:
            return True
        first = items[0]
        # Nearly all answers have probabilities and no scores: for these it is one call.
        is_plain = "probabilities" in first and "scores" not in first
        names = _names(first["probabilities"]) if is_plain else _names_in(first)
        if not names:
            return _TEXTS.isdisjoint([type(item["prediction"]) for item in items])
        known = self._clean.get(names)
        if known is None:
            return False
        return known.issuperset(_labels(items))

    def _changed(self, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """A replacement for each text that must not be stored. All items have the classes of the first."""
        names = _names_in(items[0])
        labels = set(_labels(items))
        texts = {label for label in labels if isinstance(label, str)}
        # A class that is a number is no text, however long the number is.
        changed = _apart([name for name in names if texts or not _is_number(name)])
        if names and not changed:
            self._keep(names, labels - texts)
        unknown = {label: _remembered(label) for label in texts.difference(names)}
        return changed | {label: stored for label, stored in unknown.items() if stored != label}

    def _keep(self, names: tuple[str, ...], numbers: Collection[Any]) -> None:
        """Remembers that those names hold nothing, and the labels beside them that are no texts."""
        known = self._clean.get(names) or frozenset(name for name in names if _remembered(name) == name)
        if len(self._clean) >= _MAX_SETS_OF_NAMES:
            self._clean.clear()
        self._clean[names] = known.union(numbers) if len(known) < _REMEMBERED else known


def _labels(items: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
    """Every label; those of an answer of several labels or outputs one after the other."""
    labels = [item["prediction"] for item in items]
    return chain.from_iterable(labels) if isinstance(labels[0], list) else labels


def _names_in(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in an answer: of classes, and of scores."""
    names = _names(item["probabilities"]) if "probabilities" in item else ()
    return (*names, *item["scores"]) if "scores" in item else names


def _names(classes: Any) -> tuple[str, ...]:
    """The names of all classes; those of several outputs one after the other."""
    return tuple(chain.from_iterable(classes)) if isinstance(classes, list) else tuple(classes)


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


def _renamed(value: Any, changed: Mapping[str, str]) -> Any:
    """A label, probabilities by class, or a list of either, under the names that may be stored."""
    if isinstance(value, str):
        return changed.get(value, value)
    if isinstance(value, list):
        return [_renamed(each, changed) for each in value]
    if isinstance(value, dict):
        return {changed.get(name, name): each for name, each in value.items()}
    return value


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
    return hmac.digest(key, orjson.dumps([name, value]), hashlib.sha256).hex()
