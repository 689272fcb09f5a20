"""The place where Python would find a module, found without executing anything."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec


def found_spec(name: str) -> ModuleSpec | None:
    """The place where Python would find a module now; imports nothing, not even the packages that it lies in."""
    top, *parts = name.split(".")
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    spec = next(filter(None, (find(top, None) for find in finders if find is not None)), None)
    for depth in range(1, len(parts) + 1):
        if spec is None:
            break
        spec = _within(list(spec.submodule_search_locations or ()), ".".join((top, *parts[:depth])))
    return spec


def _within(folders: Sequence[str], name: str) -> ModuleSpec | None:
    """The place of a module in its package's folders; for a package without `__init__`, all those of its own."""
    portions: list[str] = []
    for importer in filter(None, map(pkgutil.get_importer, folders)):
        spec = importer.find_spec(name, None)
        if spec is not None and spec.loader is not None:
            return spec
        portions += [] if spec is None else spec.submodule_search_locations or []
    if not portions:
        return None
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = portions
    return package
