"""ONNX Runtime without its telemetry: the one place that imports it.

Once it is imported it looks up an outside host and writes a device id under `$HOME/.cache`, and later queues the names
of graphs and the words of errors, unless `ORT_DISABLE_TELEMETRY` is set before. No setting of an operator's is read
here: the variable is this program's word to a library that listens to nothing else, and it is the same everywhere.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

InferenceSession = onnxruntime.InferenceSession
SessionOptions = onnxruntime.SessionOptions
