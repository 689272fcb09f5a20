"""ONNX Runtime without its telemetry: the only file that imports it.

Once it is imported it looks up an outside host and writes a device id under `$HOME/.cache`, and later queues the names
of graphs and the words of errors, unless `ORT_DISABLE_TELEMETRY` is set before. This reads no
setting of the operator's: the variable is the only switch that the library has, and it is always set.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

InferenceSession = onnxruntime.InferenceSession
SessionOptions = onnxruntime.SessionOptions
VERSION: str = onnxruntime.__version__
