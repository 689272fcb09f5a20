"""Model files of the formats that are taken, and the estimators in them.

Each is opened as the format that it was recognized to have. Only joblib runs code when it is opened, and is taken from
the operator's own disk alone; skops builds what the operator trusts and nothing else; the others are data.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

from inference.files.boosters import NativeModel
from inference.files.catboost_files import catboost_model
from inference.files.code_words import words_of
from inference.files.formats import CATBOOST, FORMATS, PICKLE, Format, format_of
from inference.files.lightgbm_files import lightgbm_model
from inference.files.onnx_files import OnnxModel, UnsafeOnnx, checked_onnx
from inference.files.pickles import open_pickle
from inference.files.refused import RefusedFile
from inference.files.writers import check_boosters, check_lightgbm, check_skops, check_xgboost, one_sklearn
from inference.files.xgboost_files import xgboost_model
from inference.scikit_learn import import_alone

__all__ = ["FORMATS", "Format", "RefusedFile", "format_of", "open_model"]


#: A skops file may be so large unpacked, and so many times its packed size.
MAX_UNPACKED_BYTES = 2 << 30
MAX_UNPACKED_RATIO = 200
MAX_MEMBERS = 100_000


def open_model(content: bytes, kind: str, trusted: Sequence[str] = ()) -> Any:
    """The estimator in a file's bytes, which must be what they claim. Raises `RefusedFile`.

    The caller has verified where the bytes come from: opening a joblib file runs what is in it.
    """
    is_pickle = bool(PICKLE.match(content))
    if is_pickle and kind != "joblib":
        raise RefusedFile(f"the file is a pickle and no {kind} file: opening it would run code, so it stays closed")
    if kind in {"joblib", "skops"}:
        import_alone()
    openers = {
        "joblib": open_pickle,
        "skops": lambda given: _open_skops(given, trusted),
        "onnx": _open_onnx,
        "xgboost": _open_xgboost,
        "lightgbm": _open_lightgbm,
        "catboost": _open_catboost,
    }
    return openers[kind](content)


def _open_skops(content: bytes, trusted: Sequence[str]) -> Any:
    from skops import io as skops_io  # noqa: PLC0415  loaded by those alone who have such a file

    _check_archive(content)
    _check_writers(content)
    try:
        untrusted = set(skops_io.get_untrusted_types(data=content)) - set(trusted)
    except Exception as error:  # noqa: BLE001  what is not a skops file fails in many ways
        raise RefusedFile(
            f"the file is not a skops file ({type(error).__name__}): save the model with skops.io.dump"
        ) from None
    if untrusted:
        names = ", ".join(sorted(untrusted)[:10])
        raise RefusedFile(
            f"the file asks for types that ADYTON_SKOPS_TRUSTED does not name: {names}. Name there those that you trust"
        )
    try:
        with one_sklearn():
            return skops_io.loads(content, trusted=sorted(trusted))
    except RefusedFile:
        raise
    except (ImportError, AttributeError) as error:
        raise RefusedFile(words_of(error)) from None
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(
            f"the file cannot be opened ({type(error).__name__}): save it again, with the releases that are here"
        ) from None


def _check_archive(content: bytes) -> None:
    """Raises `RefusedFile` for an archive that would fill the memory: a few kilobytes can."""
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except Exception:  # noqa: BLE001  zipfile raises more than BadZipFile on odd bytes
        raise RefusedFile(
            "the file is not a skops file, since it is no archive: save the model with skops.io.dump"
        ) from None
    unpacked = sum(member.file_size for member in members)
    packed = max(len(content), 1 << 20)
    if len(members) > MAX_MEMBERS or unpacked > min(MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO * packed):
        raise RefusedFile(f"the file would unpack to {unpacked >> 20} MiB in {len(members)} members: a zip bomb")


def _check_writers(content: bytes) -> None:
    """Raises `RefusedFile` if releases that are not read here wrote parts of a skops file, before anything is built."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        written = archive.read("schema.json")
        schema = json.loads(written)
        members = [archive.read(name) for name in archive.namelist() if not name.endswith((".npy", ".json"))]
    except Exception as error:  # noqa: BLE001  zipfile and json raise many kinds on odd bytes
        raise RefusedFile(
            f"the file is not a skops file ({type(error).__name__}): save the model with skops.io.dump"
        ) from None
    check_skops(schema)
    for each in (written, *members):
        check_boosters(each)


def _open_onnx(content: bytes) -> OnnxModel:
    try:
        return checked_onnx(content)
    except UnsafeOnnx as refused:
        raise RefusedFile(str(refused)) from None


def _open_xgboost(content: bytes) -> NativeModel:
    if content[:1] != b"{":
        raise RefusedFile("the file is not a model that XGBoost wrote as JSON or UBJSON: save it with save_model")
    if content[1:2] in b' \n"\r\t':
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            raise RefusedFile(
                "the file is not a model that XGBoost wrote as JSON or UBJSON: save it with save_model"
            ) from None
    check_xgboost(content)
    try:
        return xgboost_model(content)
    except RefusedFile:
        raise
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(
            f"XGBoost cannot open the file ({type(error).__name__}): save it again with save_model"
        ) from None


def _open_lightgbm(content: bytes) -> NativeModel:
    if not content.startswith(b"tree\n") or b"\nend of trees" not in content:
        raise RefusedFile("the file is not a model that LightGBM wrote as text: save it with booster_.save_model")
    check_lightgbm(content)
    try:
        return lightgbm_model(content)
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(
            f"LightGBM cannot open the file ({type(error).__name__}): save it again with booster_.save_model"
        ) from None


def _open_catboost(content: bytes) -> NativeModel:
    if not CATBOOST.match(content):
        raise RefusedFile("the file is not a model that CatBoost wrote as CBM or JSON: save it with save_model")
    check_boosters(content)
    try:
        return catboost_model(content)
    except RefusedFile:
        raise
    except Exception as error:  # noqa: BLE001  a file may raise anything
        raise RefusedFile(
            f"CatBoost cannot open the file ({type(error).__name__}): save it again with save_model"
        ) from None
