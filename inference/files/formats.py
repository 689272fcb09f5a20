"""The formats of model files that are taken, and the one that a file has: its content says so, and its name must agree.

Nothing here opens a file: its first bytes and, of an archive, the names at its end are compared with what each format
begins with. A name that claims no format (`model.bin`, `churn-2.model`, `model`) may hold any.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal, get_args

from inference.files.foreign import foreign_look, has_member
from inference.files.refused import RefusedFile

Format = Literal["joblib", "skops", "onnx", "xgboost", "lightgbm", "catboost"]
FORMATS: tuple[Format, ...] = get_args(Format)

#: Formats as operators know them.
FORMAT_NAMES: dict[Format, str] = {
    "joblib": "a joblib or pickle file",
    "skops": "a skops file",
    "onnx": "an ONNX graph",
    "xgboost": "an XGBoost model",
    "lightgbm": "a LightGBM model",
    "catboost": "a CatBoost model",
}
#: The formats that a name claims; any other name claims none.
_CLAIMS: dict[str, tuple[Format, ...]] = {
    ".joblib": ("joblib",),
    ".pkl": ("joblib",),
    ".pickle": ("joblib",),
    ".skops": ("skops",),
    ".onnx": ("onnx",),
    ".json": ("xgboost", "catboost"),
    ".ubj": ("xgboost",),
    ".txt": ("lightgbm",),
    ".lgb": ("lightgbm",),
    ".cbm": ("catboost",),
}
#: Protocols 2 to 5 begin with their number; 0 and 1 have no mark, and an object in them begins with its class.
PICKLE = re.compile(rb"\x80[\x02-\x05]|\(?c[A-Za-z_][\w.]*\n\w+\n|\((?:lp|dp|i)\w*\n|[\]}]q\x00")
#: zlib, gzip, bzip2, xz, LZMA, LZ4, and the form of joblib before 0.10.
COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b|BZh[1-9]|\xfd7zXZ\x00|\x5d\x00\x00|\x04\x22\x4d\x18|ZF0x")
_ARCHIVE = re.compile(rb"PK\x03\x04|PK\x05\x06")
_XGBOOST = re.compile(rb'\{(?:L\x00{7}\x07|[Ui]\x07|l\x00{3}\x07)learner|\s*\{\s*"(?:learner|version)"')
_LIGHTGBM = re.compile(rb"tree\r?\n")
#: The first members of CatBoost's JSON have other names than those of XGBoost's.
CATBOOST = re.compile(rb'CBM1|\s*\{\s*"(?:ctr_data|features_info|model_info|oblivious_trees|scale_and_bias|trees)"\s*:')
#: A graph begins with its IR version, a small number.
_ONNX = re.compile(rb"\x08[\x01-\x7f]")
_HEADS: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (PICKLE, "joblib"),
    (COMPRESSED, "joblib"),
    (_XGBOOST, "xgboost"),
    (_LIGHTGBM, "lightgbm"),
    (CATBOOST, "catboost"),
    (_ONNX, "onnx"),
)


def format_of(name: str, content: bytes) -> Format:
    """The format of a file. Raises `RefusedFile` if it has none that is taken, or another than its name claims."""
    claimed = _CLAIMS.get(PurePath(name).suffix.lower(), ())
    found = recognized(content)
    if found is None:
        if (look := foreign_look(content)) is not None:
            raise RefusedFile(f"the file is {look.kind}: {look.advice}")
        if not claimed:
            raise RefusedFile(
                "the file is none of those that are served (docs/models.md lists them): save the model with"
                " joblib.dump, skops.io.dump or its library's save_model"
            )
        # Its opener says what is missing in it.
        return claimed[0]
    if claimed and found not in claimed:
        raise RefusedFile(
            f"the file is {FORMAT_NAMES[found]}, and its name ({PurePath(name).suffix.lower()}) says"
            f" {FORMAT_NAMES[claimed[0]]}: give it the name of what it is"
        )
    return found


def recognized(content: bytes) -> Format | None:
    """The format that the content begins with; None if it is none that is taken."""
    if _ARCHIVE.match(content):
        return "skops" if has_member(content, "schema.json") or foreign_look(content) is None else None
    if foreign_look(content) is not None:
        return None
    return next((kind for head, kind in _HEADS if head.match(content)), None)
