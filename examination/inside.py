"""The process that examines a model file, by the name of a folder and the id of a process; started by `apart.py`."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

MEMORY_BYTES = 16 << 30
_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Has the system kill this process when the one that started it is gone (Linux; see prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # The other process was gone before the system was asked.
        sys.exit(1)


def examine_in(folder: Path) -> dict[str, Any]:
    """The result for JSON: the findings, or why the model is refused."""
    # The bounds hold for the loading of these libraries as well.
    from examination.examine import examine  # noqa: PLC0415  loaded under the bounds
    from examination.orders import Order, RefusedModel  # noqa: PLC0415  loaded under the bounds
    from inference.files.own_code import OwnCode  # noqa: PLC0415  loaded under the bounds

    order = json.loads((folder / "order.json").read_text())
    code = OwnCode(is_examination=True)
    code.search([Path(each) for each in order["models_path"]])
    model = (folder / "model").read_bytes()
    if hashlib.sha256(model).hexdigest() != order.pop("sha256"):
        return {"refused": "the file changed while it was read"}
    sample = folder / "sample"
    try:
        examined = examine(model, sample.read_bytes() if sample.exists() else None, Order(**order))
    except RefusedModel as refused:
        return {"refused": str(refused)}
    except MemoryError:
        return {"refused": "the model needs more memory than there is"}
    except Exception as error:  # noqa: BLE001  a model may raise anything, and its words may hold rows
        return {"refused": f"the model cannot be served: it raises {type(error).__name__}"}
    if examined.compiled is not None:
        (folder / "compiled").write_bytes(examined.compiled)
    report = replace(examined.report, own_code=code.needed())
    return {"row_schema": examined.row_schema, "report": report.to_stored()}


def start() -> None:
    """Examines as the arguments of this process say."""
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    end_with(parent)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    (folder / "result.json").write_text(json.dumps(examine_in(folder)))
