"""Operators' own code: modules from folders that a setting names, executed only as they were examined.

Such a folder is searched last: nothing in it shadows a library, or this program. Every module's source is read once,
its digest compared, and these very bytes compiled. No `__pycache__` is read, where other bytes may stand.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from functools import partial
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from threading import Lock
from types import CodeType
from typing import cast

from inference.files.code_words import SETTING, AlteredCode, changed, missing, shadowed
from inference.files.module_places import found_spec

#: Modules by name, each with the SHA-256 of its source, in the order in which they were begun.
Digests = Sequence[tuple[str, str]]


class OwnCode:
    """The modules of one process that come from such folders. An examination executes any, and remembers which."""

    def __init__(self, *, is_examination: bool = False) -> None:
        self._is_examination = is_examination
        self._lock = Lock()
        self._folders: list[str] = []
        self._foreign: set[str] = set()
        self._admitted: dict[str, set[str]] = {}
        self._executed: dict[str, str] = {}

    def search(self, folders: Sequence[Path]) -> None:
        """Imports from these folders from now on, behind everything that is searched already."""
        new = [str(folder) for folder in folders if str(folder) not in self._folders]
        if not new:
            return
        if not self._folders:
            sys.path_hooks.insert(0, self._finder)
        self._folders += new
        self._foreign = _spellings(sys.path) | _libraries()
        sys.path += [folder for folder in new if folder not in sys.path]
        for path in [each for each in sys.path_importer_cache if self._is_own(each)]:
            # A folder may be on Python's own path as well, and would be read as any other.
            del sys.path_importer_cache[path]

    @property
    def folders(self) -> Sequence[Path]:
        return [Path(folder) for folder in self._folders]

    def needed(self) -> Digests:
        """The modules that have been executed here."""
        return [(name, digest) for name, digest in self._executed.items() if name in sys.modules]

    def require(self, modules: Digests) -> None:
        """Imports the modules of a version, each as it was examined. Raises `AlteredCode`."""
        with self._lock:
            importlib.invalidate_caches()
            before = self._executed.copy()
            for name, digest in modules:
                self._admitted.setdefault(name, set()).add(digest)
            try:
                for name, digest in modules:
                    self._import(name, digest)
            except AlteredCode:
                # The next attempt, with other code, must not meet what this one has left.
                for name in self._executed.keys() - before.keys():
                    del self._executed[name]
                    sys.modules.pop(name, None)
                raise

    def fault_in(self, modules: Digests) -> str | None:
        """Says why these modules could not be executed in a process that starts now; executes nothing."""
        importlib.invalidate_caches()
        return next(filter(None, (self._fault(name, digest) for name, digest in modules)), None)

    def admit(self, name: str, digest: str) -> None:
        """Remembers that a module is executed now. Raises `AlteredCode` unless a version needs it in this form."""
        admitted = self._admitted.get(name)
        if not self._is_examination and admitted is None:
            raise AlteredCode(
                f"the module {name} of {SETTING} was not imported when the model was examined: register its file again"
            )
        if admitted is not None and digest not in admitted:
            raise AlteredCode(changed(name))
        self._executed[name] = digest

    def _import(self, name: str, digest: str) -> None:
        is_there = name in sys.modules
        try:
            importlib.import_module(name)
        except AlteredCode:
            raise
        except ModuleNotFoundError as error:
            raise AlteredCode(self._lacking(name, error.name or name)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  such code may raise anything
            words = f"the module {name} of {SETTING} raises {type(error).__name__} when it is imported"
            raise AlteredCode(words) from None
        if name not in self._executed:
            raise AlteredCode(shadowed(name))
        if self._executed[name] != digest:
            is_back = is_there and self._fault(name, digest) is None
            restart = f"this process has loaded another form of the module {name} of {SETTING}: restart it"
            raise AlteredCode(restart if is_back else changed(name))

    def _lacking(self, name: str, needed: str) -> str:
        if needed in self._admitted:
            return missing(needed)
        return f"the module {name} of {SETTING} needs the module {needed}, which is not installed here"

    def _fault(self, name: str, digest: str) -> str | None:
        spec = found_spec(name)
        if spec is None or spec.origin is None:
            return missing(name)
        if not isinstance(spec.loader, _Source):
            return shadowed(name)
        try:
            found = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
        except OSError:
            return missing(name)
        return None if found == digest else changed(name)

    def _finder(self, path: str) -> FileFinder:
        """The hook of `sys.path_hooks`. Raises `ImportError` for a folder that is not one of these, nor within one."""
        if not self._is_own(path):
            raise ImportError(path=path)
        # A finder calls it with a module's name and path, as it would call a class.
        loader = cast("type[SourceFileLoader]", partial(_Source, self))
        return FileFinder(path, (loader, [".py"]))

    def _is_own(self, path: str) -> bool:
        """Whether the folder belongs to one of these: an environment of Python's may lie within such a folder."""
        foreign = self._foreign.difference(self._folders)
        return any(len(_nearest(each, self._folders)) > len(_nearest(each, foreign)) for each in _spellings([path]))


class _Source(SourceFileLoader):
    """Compiles the source whose digest was compared, and never reads or writes compiled files."""

    def __init__(self, code: OwnCode, name: str, path: str) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        self._code.admit(fullname, hashlib.sha256(source).hexdigest())
        code: CodeType = self.source_to_code(source, path)
        return code


#: Python keeps one set of modules for a process, and so does this.
_HERE = OwnCode()


def own_code(folders: Sequence[Path] = ()) -> OwnCode:
    """The own code of this process, which is searched for in these folders as well from now on."""
    _HERE.search(folders)
    return _HERE


def is_libraries(folder: Path) -> bool:
    """Whether the folder is one of Python's or of this program's: their modules are no operator's own code."""
    return str(folder) in _libraries()


def _libraries() -> set[str]:
    places = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return _spellings([*(places[name] for name in names), str(Path(__file__).parents[2])])


def _spellings(folders: Sequence[str]) -> set[str]:
    """The folders as they are named, and as they are without symbolic links."""
    return {str(spelt) for each in map(Path, folders) for spelt in (each.absolute(), each.resolve())}


def _nearest(path: str, folders: Sequence[str] | set[str]) -> str:
    """The innermost of the folders in which the path lies; an empty text for none."""
    within = (each for each in folders if path == each or path.startswith(each.rstrip(os.sep) + os.sep))
    return max(within, key=len, default="")
