"""Files that joblib or pickle wrote, compressed or not. Opening one runs what is in it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from inference.files.catboost_files import without_catboost
from inference.files.code_words import words_of
from inference.files.foreign import foreign_look
from inference.files.formats import COMPRESSED, PICKLE
from inference.files.refused import RefusedFile
from inference.files.writers import check_boosters, one_sklearn, refuse_pickle_of_other_sklearn

_UNPACKERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x78", zlib.decompress),
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ", lzma.decompress),
    (b"\x5d\x00", lzma.decompress),
)
_LZ4 = b"\x04\x22\x4d\x18"


def open_pickle(content: bytes) -> Any:
    """The object in the file. Raises `RefusedFile`."""
    # Importing scikit-learn takes a second that only what opens a model should pay.
    import joblib  # noqa: PLC0415  see above

    unpacked = _unpacked(content)
    check_boosters(unpacked)
    try:
        with one_sklearn():
            return joblib.load(io.BytesIO(unpacked))
    except RefusedFile:
        raise
    except (ImportError, AttributeError) as error:
        if str(error.name).partition(".")[0] == "catboost":
            raise without_catboost() from None
        refuse_pickle_of_other_sklearn(unpacked)
        raise RefusedFile(words_of(error)) from None
    except Exception as error:  # noqa: BLE001  a file may raise anything
        refuse_pickle_of_other_sklearn(unpacked)
        raise RefusedFile(
            f"the file cannot be opened ({type(error).__name__}): save it again, with the releases that are here"
        ) from None


def _unpacked(content: bytes) -> bytes:
    """The pickle itself, whatever joblib compressed it with. Raises `RefusedFile`."""
    if content.startswith(_LZ4):
        content = _unpacked_lz4(content)
    for magic, unpack in _UNPACKERS:
        if COMPRESSED.match(content) and content.startswith(magic):
            try:
                content = unpack(content)
            except Exception as error:  # noqa: BLE001  each library raises kinds of its own
                raise RefusedFile(
                    f"the file cannot be unpacked ({type(error).__name__}): it is cut off or damaged, copy it again"
                ) from None
            break
    if PICKLE.match(content) or content.startswith(b"ZF0x"):
        return content
    if (look := foreign_look(content)) is not None:
        raise RefusedFile(f"the file is {look.kind}: {look.advice}")
    raise RefusedFile("the file is not one that joblib or pickle wrote: save the model with joblib.dump")


def _unpacked_lz4(content: bytes) -> bytes:
    try:
        import lz4.frame  # noqa: PLC0415  not installed with this program; joblib cannot write such files without it
    except ImportError:
        raise RefusedFile(
            "the file is compressed with LZ4, and lz4 is not installed here: save it with joblib.dump(..., compress=3)"
        ) from None
    try:
        unpacked: bytes = lz4.frame.decompress(content)
    except Exception as error:  # noqa: BLE001  it raises kinds of its own
        raise RefusedFile(
            f"the file cannot be unpacked ({type(error).__name__}): it is cut off or damaged, copy it again"
        ) from None
    return unpacked
