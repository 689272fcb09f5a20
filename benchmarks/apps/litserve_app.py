"""LitServe as its documentation serves a model: one `LitAPI` each; runs in an environment that has LitServe.

BENCHMARK_MODELS=DIR python litserve_app.py PORT MOST_AT_ONCE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import joblib
import litserve
import numpy as np

WAIT_SECONDS = 0.005


class Alone(litserve.LitAPI):
    """Computes one request at a time."""

    def setup(self, device: str) -> None:
        self.estimator = joblib.load(Path(os.environ["BENCHMARK_MODELS"]) / f"{self.api_path[1:]}.joblib")

    def decode_request(self, request) -> Any:  # noqa: ANN001  LitServe reads the annotation, and no text of one
        return np.array(request["rows"])

    def predict(self, x: Any) -> Any:
        return self.estimator.predict_proba(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"labels": self.estimator.classes_[output.argmax(axis=1)].tolist(), "probabilities": output.tolist()}


class Together(Alone):
    """Computes the rows of several requests in one call."""

    def batch(self, inputs: list[Any]) -> Any:
        self.ends = np.cumsum([len(each) for each in inputs])[:-1]
        return np.concatenate(inputs)

    def unbatch(self, output: Any) -> list[Any]:
        return np.split(output, self.ends)


if __name__ == "__main__":
    port, most = int(sys.argv[1]), int(sys.argv[2])
    options = {"max_batch_size": most, "batch_timeout": WAIT_SECONDS} if most > 1 else {}
    kind = Together if most > 1 else Alone
    models = [kind(api_path=f"/{name}", **options) for name in ("iris", "wine", "boosted")]
    server = litserve.LitServer(models, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, log_level="warning", generate_client_file=False)
