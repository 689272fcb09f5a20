"""Model folders that MLflow wrote, on the local disk: which file in one is the model, and what else it says about it.

The folder is a way to find a file, a schema and a sample; the file alone is stored and served. Nothing in the folder is
run, and nothing is read outside of it. `MLmodel` may be of any release since 1.0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from admin.facts import InvalidValue
from admin.models.mlflow_examples import example_of
from admin.models.mlflow_signatures import Signature, signature_of
from admin.models.registration import Submission

DOCUMENT = "MLmodel"
MAX_DOCUMENT_BYTES = 1 << 20
#: For each flavour, the members that may name its file. Files that run no code when they are opened come first.
_FLAVOURS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("data",),
    "xgboost": ("data",),
    "lightgbm": ("data",),
    "catboost": ("data",),
    "sklearn": ("pickled_model", "model_path"),
}
#: A name in a file that cloudpickle wrote where it holds functions by value: the bytecode of one release of Python.
_BY_VALUE = (b"_make_function", b"_make_skeleton_class", b"_fill_function")
_REMOTE = ("runs:", "models:", "mlflow-artifacts:", "s3:", "gs:", "dbfs:", "wasbs:", "http:", "https:", "hdfs:")


@dataclass(frozen=True, slots=True)
class MlflowFolder:
    """A folder's model file with the folder's facts about it. `code` is where it keeps code of its own."""

    file: Path
    signature: Signature | None
    example: bytes | None
    code: str | None

    def submission(self, given: Submission) -> Submission:
        """The submission: the folder's file, with its facts where the operator has given none."""
        content = self.file.read_bytes()
        schema = self.signature.laid_under(given.schema) if self.signature else given.schema
        sample = {} if given.sample is not None or self.example is None else _as_sample(self.example)
        signed = self.signature.columns if self.signature else None
        return replace(given, file_name=self.file.name, content=content, schema=schema, signed=signed, **sample)

    @contextmanager
    def explained(self, given: Submission) -> Iterator[None]:
        """Raises a refusal again with the folder's part in it."""
        try:
            yield
        except InvalidValue as refused:
            raise InvalidValue(". ".join([str(refused), *self._hints(str(refused), given)])) from None

    def _hints(self, refusal: str, given: Submission) -> list[str]:
        words = []
        if self.code is not None and "code that is not installed" in refusal:
            words.append(f"The folder keeps code in {self.code}: name that folder in ADYTON_MODELS_PATH")
        if "data in other files" in refusal:
            words.append("Log it again with save_as_external_data=False")
        if self.signature is not None and ("schema" in refusal or "signature" in refusal):
            words.append("The schema is the signature in MLmodel; --schema corrects it")
        if self.example is not None and given.sample is None and "sample" in refusal:
            words.append("The sample is the folder's input example; --sample replaces it")
        return words


def folder_at(path: Path) -> MlflowFolder | None:
    """The folder at a path, or around an `MLmodel`; None if the path is one of a file. Raises `InvalidValue`."""
    head = str(path).split("/", 1)[0]
    if head in _REMOTE and not path.exists():
        raise InvalidValue(f"{head} begins an address and no path: fetch the model first (mlflow artifacts download)")
    return read_mlflow_folder(path) if path.is_dir() or path.name == DOCUMENT else None


def read_mlflow_folder(path: Path) -> MlflowFolder:
    """The folder at a path, or around an `MLmodel` file. Raises `InvalidValue`."""
    folder = (path if path.is_dir() else path.parent).resolve()
    document = _document(folder)
    flavours = document.get("flavors")
    if not isinstance(flavours, dict) or not flavours:
        raise InvalidValue("MLmodel names no flavours: log the model again with mlflow.sklearn.log_model or its like")
    name = _native(flavours)
    flavour = flavours[name] if isinstance(flavours[name], dict) else {}
    around = flavours.get("python_function")
    around = around if isinstance(around, dict) else {}
    file = _model_file(folder, name, flavour, around)
    _require_this_python(file, around)
    signature = signature_of(document.get("signature"))
    example = example_of(folder, document.get("saved_input_example_info"), signature, inside)
    code = flavour.get("code") or around.get("code")
    return MlflowFolder(file, signature, example, str(code) if code else None)


def inside(folder: Path, named: Any, word: str) -> Path:
    """The file or folder that MLmodel names by a path within its own folder. Raises `InvalidValue`."""
    path = PurePosixPath(named) if isinstance(named, str) else PurePosixPath("..")
    if path.is_absolute() or ".." in path.parts or "\\" in str(named) or "\0" in str(named):
        raise InvalidValue(f"MLmodel's {word} is no path within its folder: put the file there and name it so")
    found = (folder / path).resolve()
    if not found.is_relative_to(folder):
        raise InvalidValue(f"MLmodel's {word} leads out of its folder by a link: put the file itself there")
    return found


def _document(folder: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  other commands need not wait for it

    path = inside(folder, DOCUMENT, "own file")
    if not path.is_file():
        _refuse_folder(folder)
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise InvalidValue(f"MLmodel has more than {MAX_DOCUMENT_BYTES >> 20} MiB: it is no description of a model")
    try:
        document = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidValue("MLmodel is not sound YAML: log the model again") from None
    if not isinstance(document, dict):
        raise InvalidValue("MLmodel is not a YAML mapping: log the model again")
    return document


def _refuse_folder(folder: Path) -> None:
    """Raises `InvalidValue` for a folder without `MLmodel`; says where one is, or what the folder is."""
    below = sorted(path.parent.relative_to(folder) for path in folder.glob(f"*/{DOCUMENT}"))
    if below:
        raise InvalidValue(f"the folder has no MLmodel, and {below[0]} in it has one: register that folder")
    if (folder / "saved_model.pb").exists():
        raise InvalidValue("the folder is a SavedModel of TensorFlow: export the model to ONNX and register that")
    raise InvalidValue("the folder has no MLmodel, so it is none of MLflow's: give the model's file")


def _native(flavours: Mapping[Any, Any]) -> str:
    """The flavour to serve. Raises `InvalidValue` if the folder has none that is served."""
    for name in _FLAVOURS:
        if name in flavours:
            return name
    others = sorted(str(name)[:40] for name in flavours if name != "python_function")
    if others:
        raise InvalidValue(
            f"MLflow's flavour {others[0]} is not served: log the model with one of {', '.join(_FLAVOURS)}"
        )
    raise InvalidValue(
        "the folder holds a Python function alone (pyfunc): log the model itself with mlflow.sklearn.log_model or its"
        " library's, and put code of your own into ADYTON_MODELS_PATH"
    )


def _model_file(folder: Path, name: str, flavour: Mapping[Any, Any], around: Mapping[Any, Any]) -> Path:
    member = next((each for each in _FLAVOURS[name] if each in flavour), None)
    named = flavour[member] if member else around.get("data") or around.get("model_path")
    if named is None:
        raise InvalidValue(f"MLmodel does not name the file of its flavour {name}: log the model again")
    found = inside(folder, named, f"path to the model ({name})")
    if found.is_dir():
        # Early releases name a folder around the one file.
        files = [path for path in found.iterdir() if path.is_file()]
        found = inside(folder, str(files[0].relative_to(folder)), "model") if len(files) == 1 else found
    if not found.is_file():
        raise InvalidValue(f"MLmodel names the file {found.name[:80]}, and the folder does not have it: fetch it whole")
    return found


def _require_this_python(file: Path, around: Mapping[Any, Any]) -> None:
    """Raises `InvalidValue` for functions by value of another Python: its bytecode may do anything here."""
    wrote = str(around.get("python_version", "")).split(".")[:2]
    here = [str(part) for part in sys.version_info[:2]]
    if len(wrote) == 2 and wrote != here and any(name in file.read_bytes() for name in _BY_VALUE):
        raise InvalidValue(
            f"the file was written by Python {'.'.join(wrote)} with functions of its own in it, and this is"
            f" {'.'.join(here)}: fit and save the model again with this one, or put them into ADYTON_MODELS_PATH"
        )


def _as_sample(example: bytes) -> dict[str, Any]:
    return {"sample_name": "input_example.parquet", "sample": example}
