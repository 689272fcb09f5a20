"""The guard of ONNX files: their IR version and opsets, beside those that ONNX Runtime here takes.

It has no list of them, but refuses a graph that asks for too much with the numbers that it would take. So a graph of
one node is given to it, with the numbers of the file.
"""

from __future__ import annotations

import re
from typing import Any

from inference.files.refused import RefusedFile
from inference.onnx_runtime import VERSION, InferenceSession, SessionOptions

_IR_VERSION = re.compile(r"max supported IR version: (\d+)")
_OPSET = re.compile(r"official support for domain (\S+) is till opset (\d+)")
_DEFAULT_DOMAINS = ("", "ai.onnx")
_EARLY_OPSET = 7


def refuse_newer(model: Any) -> None:
    """Raises `RefusedFile` if the graph asks for a newer ONNX than ONNX Runtime here takes."""
    import onnx  # noqa: PLC0415  half a second that only what opens such a file should pay
    from onnx import TensorProto, helper  # noqa: PLC0415  the same

    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "numbers", [given], [answer])
    opsets = [helper.make_opsetid(each.domain, each.version) for each in model.opset_import]
    if not any(each.domain in _DEFAULT_DOMAINS for each in opsets):
        opsets.append(helper.make_opsetid("", _EARLY_OPSET))
    probe = onnx.ModelProto(ir_version=model.ir_version, graph=graph, opset_import=opsets)
    _give(probe.SerializeToString(), model)


def _give(probe: bytes, model: Any) -> None:
    options = SessionOptions()
    options.log_severity_level = 4
    try:
        InferenceSession(probe, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  it raises kinds of its own; other faults of the graph are found elsewhere
        words, ours = str(error), f"ONNX Runtime {VERSION}"
        if most := _IR_VERSION.search(words):
            raise RefusedFile(
                f"the file was written in ONNX's IR version {model.ir_version}, and {ours} here takes up to {most[1]}:"
                f" export the model again with IR version {most[1]}"
            ) from None
        if most := _OPSET.search(words):
            found = next(each.version for each in model.opset_import if _domain(each) == most[1])
            raise RefusedFile(
                f"the file was written for opset {found} of {most[1]}, and {ours} here takes up to {most[2]}:"
                f" export the model again with target opset {most[2]}"
            ) from None


def _domain(opset: Any) -> str:
    return opset.domain or "ai.onnx"
