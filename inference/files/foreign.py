"""Files that people take for models that can be served: each is known by its first bytes, and has words of its own.

Only a few bytes at either end are looked at. An archive is not unpacked: the names of its members stand at its end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: So much of a file is looked at, at its beginning and at its end.
_LOOKED_AT = 64 << 10
#: A member in the list at a zip archive's end: the length of its name, and where the name begins.
_MEMBER = re.compile(rb"PK\x01\x02.{24}(..).{16}", re.DOTALL)


class Look(NamedTuple):
    """A kind of file, with its article, and how its model comes to be served."""

    kind: str
    advice: str


_ONNX = "export the model to ONNX and register that"
_SAMPLE = "that is data; rows like those of the training are given as --sample"
#: By the first bytes.
_HEADS: tuple[tuple[re.Pattern[bytes], Look], ...] = tuple(
    (re.compile(pattern, re.DOTALL), Look(kind, advice))
    for pattern, kind, advice in (
        (rb"\Z", "empty", "copy it again, all of it"),
        (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
        (rb"(?i)\s*<(!doctype html|html)", "a web page", "download the file itself"),
        (
            rb"bs64\t|binf.{136}|.{136}[\x03-\x40]\x00{7}(binary|reg|multi|rank|survival|count):\w+",
            "a model in XGBoost's old binary form",
            "open it with XGBoost 3.0 or older, and save it as .ubj or .json",
        ),
        (
            rb'\s*\[\s*\{\s*"nodeid"|booster\[0\]:',
            "a dump of XGBoost's trees",
            "a dump cannot be loaded again: save the model with save_model",
        ),
        (
            rb'\s*\{\s*"name"\s*:\s*"tree"',
            "a dump of LightGBM's trees",
            "a dump cannot be loaded again: save the model with save_model",
        ),
        (
            rb"(RDX[23]\n)?X\n\x00\x00\x00[\x02\x03]|RDA[23]\n",
            "an R object",
            "in R, save XGBoost with xgb.save, LightGBM with lgb.save, and register what they write",
        ),
        (rb"\x89HDF\r\n\x1a\n", "an HDF5 file (as Keras writes)", _ONNX),
        (rb"\s*(<\?xml.{0,200}?\?>)?\s*(<!--.{0,1000}?-->)?\s*<PMML", "a PMML document", _ONNX),
        (rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", "a PyTorch file", _ONNX),
        (rb"\x08\x01\x12", "a SavedModel of TensorFlow", _ONNX),
        (rb".{4}TFL3", "a TensorFlow Lite model", _ONNX),
        (rb".{8}\{\s*\"[^\"]+\"\s*:\s*\{\s*\"(dtype|format)\"", "a safetensors file", _ONNX),
        (rb"GGUF", "a GGUF file", "language models are not served"),
        (rb"\xac\xed\x00\x05", "a Java object (as Weka and Spark write)", _ONNX),
        (rb"\x93NUMPY", "an array of numpy's", _SAMPLE),
        (rb"PAR1", "a Parquet file", _SAMPLE),
        (rb"ARROW1", "an Arrow file", "that is data; write it as Parquet and give it as --sample"),
        (rb"SQLite format 3\x00", "an SQLite database", "register the model's own file"),
        (rb".{257}ustar", "a tar archive", "unpack it and register the model in it"),
        (rb"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it and register the model in it"),
        (rb"7z\xbc\xaf\x27\x1c|Rar!", "a packed archive", "unpack it and register the model in it"),
    )
)
#: By the name of a member of a zip archive.
_MEMBERS: tuple[tuple[str, Look], ...] = (
    ("data.pkl", Look("a PyTorch file", _ONNX)),
    ("model.weights.h5", Look("a Keras model", _ONNX)),
    ("MLmodel", Look("a packed folder of MLflow", "unpack it and register the folder")),
    ("model.ini", Look("a model of H2O (MOJO)", _ONNX)),
    ("saved_model.pb", Look("a packed SavedModel of TensorFlow", _ONNX)),
    ("META-INF/MANIFEST.MF", Look("a Java archive", _ONNX)),
    (".npy", Look("an archive of numpy's (npz)", _SAMPLE)),
)


def foreign_look(content: bytes) -> Look | None:
    """The kind of a file that is none of the served formats; None if it is not known."""
    if content.startswith(b"PK"):
        if has_member(content, "schema.json"):
            return None
        return next((look for name, look in _MEMBERS if has_member(content, name)), None)
    head = content[:_LOOKED_AT]
    return next((look for pattern, look in _HEADS if pattern.match(head)), None)


def has_member(content: bytes, name: str) -> bool:
    """Whether a zip archive lists a member that has this name, in whatever folder, or ends with this suffix."""
    tail = content[-_LOOKED_AT:]
    ending = name if name[0] == "." else f"/{name}"
    for entry in _MEMBER.finditer(tail):
        listed = tail[entry.end() : entry.end() + int.from_bytes(entry[1], "little")].decode("utf-8", "replace")
        if listed == name or listed.endswith(ending):
            return True
    return False


def every_look() -> list[Look]:
    """All the kinds that are known, in the order in which they are told apart."""
    return [*dict.fromkeys([look for _, look in _HEADS] + [look for _, look in _MEMBERS])]
