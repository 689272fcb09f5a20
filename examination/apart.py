"""A model file examined in a process of its own.

A file is somebody else's work, and opening one may run code, fill the memory or never end. The process knows no secret
and no database, has a bound on memory, and is killed when its time is up.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examination.examine import Examined, Order, RefusedModel, examine

MEMORY_BYTES = 16 << 30


def examine_apart(model: bytes, sample: bytes | None, order: Order, *, limit_seconds: float) -> Examined:
    """What `examine` finds, from a process of its own.

    Raises `RefusedModel`, also where the file brings that process down.
    """
    with tempfile.TemporaryDirectory(prefix="adyton-") as name:
        folder = Path(name)
        (folder / "model").write_bytes(model)
        if sample is not None:
            (folder / "sample").write_bytes(sample)
        sha256 = hashlib.sha256(model).hexdigest()
        (folder / "order.json").write_text(json.dumps({**asdict(order), "sha256": sha256}))
        # Nothing of ours is in its environment: no secret, no address of a database.
        command = [sys.executable, "-P", "-m", "examination.apart", str(folder)]
        environment = {"PATH": "/usr/bin:/bin", "HOME": name, "TMPDIR": name, "PYTHONPATH": _import_path()}
        try:
            run = subprocess.run(  # noqa: S603  the command is ours
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, timeout=limit_seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise RefusedModel(f"the model's examination did not end in {limit_seconds:g} s") from None
        return _result(folder, run.returncode)


def _import_path() -> str:
    """Where this program's own code is, so that the other process finds the same."""
    return str(Path(__file__).parents[1])


def _result(folder: Path, code: int) -> Examined:
    try:
        found = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        raise RefusedModel(f"the model brought its examination down (exit code {code})") from None
    if "refused" in found:
        raise RefusedModel(found["refused"])
    compiled = folder / "compiled"
    return Examined(found["row_schema"], found["report"], compiled.read_bytes() if compiled.exists() else None)


def _main(folder: Path) -> None:
    """In the process of its own."""
    import resource  # noqa: PLC0415  not on every system, and needed here alone

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order = json.loads((folder / "order.json").read_text())
    model = (folder / "model").read_bytes()
    if hashlib.sha256(model).hexdigest() != order.pop("sha256"):
        raise RefusedModel("the file changed while it was read")
    sample = folder / "sample"
    try:
        examined = examine(model, sample.read_bytes() if sample.exists() else None, Order(**order))
    except RefusedModel as refused:
        result: dict[str, Any] = {"refused": str(refused)}
    except MemoryError:
        result = {"refused": "the model needs more memory than there is"}
    except Exception as error:  # noqa: BLE001  a model may raise anything, and its words may hold rows
        result = {"refused": f"the model cannot be served: it raises {type(error).__name__}"}
    else:
        result = {"row_schema": examined.row_schema, "report": examined.report}
        if examined.compiled is not None:
            (folder / "compiled").write_bytes(examined.compiled)
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
