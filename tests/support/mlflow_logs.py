"""Folders as MLflow itself writes them, with no tracking server, no network and nothing written beside them."""

from __future__ import annotations

import importlib
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}


@contextmanager
def mlflow_at(directory: Path):
    """MLflow, with a home and a working directory of its own, which must be empty when it is done."""
    beside = directory / "beside"
    beside.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("HOME", str(beside))
        patch.setenv("MLFLOW_TRACKING_URI", (beside / "tracking").as_uri())
        patch.chdir(beside)
        yield importlib.import_module("mlflow")
    assert not list(beside.iterdir())


def logged(directory: Path, flavour: str, model, name: str = "model", **facts) -> Path:
    """The folder of a model that was saved by `mlflow.FLAVOUR.save_model`."""
    folder = directory / name
    with mlflow_at(directory):
        # Without a list MLflow starts a process to find one.
        save = importlib.import_module(f"mlflow.{flavour}").save_model
        save(model, str(folder), pip_requirements=["scikit-learn"], **facts)
    return folder


def signed(directory: Path, rows, answers=None, **facts):
    """The signature that MLflow infers."""
    with mlflow_at(directory):
        return importlib.import_module("mlflow.models").infer_signature(rows, answers, **facts)
