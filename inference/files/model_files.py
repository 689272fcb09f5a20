"""Model files of the five formats that are taken, and the estimators in them.

A file is what its content says, whatever it is called. Only joblib runs code when it is opened, and is taken from the
operator's own disk alone; skops builds what the operator trusts and nothing else; the others are data.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Literal, get_args

from inference.files.boosters import NativeModel, lightgbm_model, xgboost_model
from inference.files.code_words import words_of
from inference.files.onnx_files import OnnxModel, UnsafeOnnx, checked_onnx

Format = Literal["joblib", "skops", "onnx", "xgboost", "lightgbm"]
FORMATS: tuple[Format, ...] = get_args(Format)

#: A skops file may be so large unpacked, and so many times its packed size.
MAX_UNPACKED_BYTES = 2 << 30
MAX_UNPACKED_RATIO = 200
MAX_MEMBERS = 100_000
_SUFFIXES: dict[str, Format] = {
    ".joblib": "joblib",
    ".pkl": "joblib",
    ".pickle": "joblib",
    ".skops": "skops",
    ".onnx": "onnx",
    ".json": "xgboost",
    ".ubj": "xgboost",
    ".txt": "lightgbm",
    ".lgb": "lightgbm",
}
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00", b"\x04\x22\x4d\x18", b"ZF")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")


class RefusedFile(Exception):
    """The file is not a model that can be served; the words are for the operator."""


def format_of(name: str) -> Format:
    """The format that a file's name claims. Raises `RefusedFile` for a name that claims none."""
    found = _SUFFIXES.get(PurePath(name).suffix.lower())
    if found is None:
        raise RefusedFile(f"a model file is named {', '.join(_SUFFIXES)}")
    return found


def open_model(content: bytes, kind: str, trusted: Sequence[str] = ()) -> Any:
    """The estimator in a file's bytes, which must be what they claim. Raises `RefusedFile`.

    The caller has verified where the bytes come from: opening a joblib file runs what is in it.
    """
    is_pickle = bool(_PICKLE.match(content))
    if is_pickle and kind != "joblib":
        raise RefusedFile(f"the file is a pickle and no {kind} file: opening it would run code")
    openers = {
        "joblib": _open_joblib,
        "skops": lambda given: _open_skops(given, trusted),
        "onnx": _open_onnx,
        "xgboost": _open_xgboost,
        "lightgbm": _open_lightgbm,
    }
    return openers[kind](content)


def _open_joblib(content: bytes) -> Any:
    # Importing scikit-learn takes a second that only what opens a model should pay.
    import joblib  # noqa: PLC0415  see above
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415  see above

    if not _PICKLE.match(content) and not content.startswith(_COMPRESSED):
        raise RefusedFile("the file is not one that joblib or pickle wrote")
    try:
        with warnings.catch_warnings():
            # Another version's estimator may open and answer differently: it is registered again by this one.
            warnings.simplefilter("error", InconsistentVersionWarning)
            return joblib.load(io.BytesIO(content))
    except InconsistentVersionWarning as error:
        trained, here = error.original_sklearn_version, error.current_sklearn_version
        raise RefusedFile(
            f"the file was written by scikit-learn {trained}, and this is {here}: save it again with this one"
        ) from None
    except (ImportError, AttributeError) as error:
        raise RefusedFile(words_of(error)) from None
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(f"the file cannot be opened: {type(error).__name__}") from None


def _open_skops(content: bytes, trusted: Sequence[str]) -> Any:
    from skops import io as skops_io  # noqa: PLC0415  loaded by those alone who have such a file

    _check_archive(content)
    try:
        untrusted = set(skops_io.get_untrusted_types(data=content)) - set(trusted)
    except Exception as error:  # noqa: BLE001  what is not a skops file fails in many ways
        raise RefusedFile(f"the file is not a skops file: {type(error).__name__}") from None
    if untrusted:
        names = ", ".join(sorted(untrusted)[:10])
        raise RefusedFile(f"the file asks for types that ADYTON_SKOPS_TRUSTED does not name: {names}")
    try:
        return skops_io.loads(content, trusted=sorted(trusted))
    except (ImportError, AttributeError) as error:
        raise RefusedFile(words_of(error)) from None
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(f"the file cannot be opened: {type(error).__name__}") from None


def _check_archive(content: bytes) -> None:
    """Raises `RefusedFile` for an archive that would fill the memory: a few kilobytes can."""
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except Exception:  # noqa: BLE001  zipfile raises more than BadZipFile on odd bytes
        raise RefusedFile("the file is not a skops file: it is no archive") from None
    unpacked = sum(member.file_size for member in members)
    packed = max(len(content), 1 << 20)
    if len(members) > MAX_MEMBERS or unpacked > min(MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO * packed):
        raise RefusedFile(f"the file would unpack to {unpacked >> 20} MiB in {len(members)} members: a zip bomb")


def _open_onnx(content: bytes) -> OnnxModel:
    try:
        return checked_onnx(content)
    except UnsafeOnnx as refused:
        raise RefusedFile(str(refused)) from None


def _open_xgboost(content: bytes) -> NativeModel:
    if content[:1] != b"{":
        raise RefusedFile("the file is not a model that XGBoost wrote as JSON or UBJSON")
    if content[1:2] in b' \n"\r\t':
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            raise RefusedFile("the file is not a model that XGBoost wrote as JSON or UBJSON") from None
    try:
        return xgboost_model(content)
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(f"XGBoost cannot open the file: {type(error).__name__}") from None


def _open_lightgbm(content: bytes) -> NativeModel:
    if not content.startswith(b"tree\n") or b"\nend of trees" not in content:
        raise RefusedFile("the file is not a model that LightGBM wrote as text")
    try:
        return lightgbm_model(content)
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(f"LightGBM cannot open the file: {type(error).__name__}") from None
