"""The servers that are compared, and how each is started with the same models."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments, servers
from benchmarks.dialects import BentoML, Dialect, Echo, LitServe, OpenInference, Tutorial

#: How many requests a peer may compute together. With 64 connections, no more can wait.
AT_ONCE = 64
#: How long a peer waits for more of them: what its documentation suggests, or the best of what we tried.
MLSERVER_WAIT_SECONDS = 0.005

#: Starts a server with the models of the first folder, and with the second folder to itself.
Start = Callable[[Path, Path], AbstractContextManager[servers.Server]]


@dataclass(frozen=True)
class Contender:
    """A server under one configuration. `packages` are those whose versions matter, of environment `home`."""

    name: str
    dialect: Dialect
    start: Start
    packages: tuple[str, ...]
    home: str = ""


def _adyton(models: Path, directory: Path) -> AbstractContextManager[servers.Server]:
    boosted = ["boosted", str(models / "boosted.joblib"), "--sample", str(models / "boosted.csv")]
    return servers.adyton(None, directory, registers=[boosted])


def _plain(app: str) -> Start:
    return lambda models, directory: servers.plain(app, directory, BENCHMARK_MODELS=str(models))


def _mlserver(at_once: int) -> Start:
    def start(models: Path, directory: Path) -> AbstractContextManager[servers.Server]:
        port, grpc_port = servers.free_port(), servers.free_port()
        directory.mkdir(parents=True, exist_ok=True)
        # Its default of a worker process beside the server's costs more than it brings where both have one core.
        settings = {"parallel_workers": 0, "debug": False, "host": "127.0.0.1", "http_port": port}
        settings |= {"grpc_port": grpc_port, "metrics_endpoint": None, "gzip_enabled": False}
        (directory / "settings.json").write_text(json.dumps(settings))
        for path in models.glob("*.joblib"):
            folder = directory / path.stem
            folder.mkdir()
            model = {"name": path.stem, "implementation": "mlserver_sklearn.SKLearnModel"}
            batching = {"max_batch_size": at_once, "max_batch_time": MLSERVER_WAIT_SECONDS} if at_once > 1 else {}
            document = model | batching | {"parameters": {"uri": str(path)}}
            (folder / "model-settings.json").write_text(json.dumps(document))
        command = [environments.binary("mlserver", "mlserver"), "start", str(directory)]
        return servers.started(command, directory, port)

    return start


def _litserve(at_once: int) -> Start:
    def start(models: Path, directory: Path) -> AbstractContextManager[servers.Server]:
        command = [
            environments.binary("litserve", "python"),
            str(servers.APPS / "litserve_app.py"),
            "PORT",
            str(at_once),
        ]
        return servers.started(command, directory, BENCHMARK_MODELS=str(models))

    return start


def _bentoml(at_once: int) -> Start:
    def start(models: Path, directory: Path) -> AbstractContextManager[servers.Server]:
        command = [environments.binary("bentoml", "bentoml"), "serve", "bentoml_app:Models"]
        command += ["--working-dir", str(servers.APPS), "--host", "127.0.0.1", "--port", "PORT"]
        variables = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(directory / "home")}
        variables |= {"BENCHMARK_MODELS": str(models), "BENCHMARK_AT_ONCE": str(at_once)}
        return servers.started(command, directory, **variables)

    return start


_OURS = ("fastapi", "uvicorn", "uvloop", "pydantic", "scikit-learn", "onnxruntime", "numpy")
ADYTON = Contender("Adyton", Dialect(), _adyton, _OURS)
ECHO = Contender("FastAPI echo", Echo(), _plain("echo"), ("fastapi", "uvicorn", "uvloop"))
TUTORIAL = Contender("tutorial app", Tutorial(), _plain("tutorial"), _OURS[:-2])
OWN = (ECHO, TUTORIAL, ADYTON)

_MLSERVER = ("mlserver", "mlserver-sklearn", "fastapi", "uvicorn", "uvloop", "scikit-learn")
_LITSERVE = ("litserve", "fastapi", "uvicorn", "uvloop", "scikit-learn")
_BENTOML = ("bentoml", "starlette", "uvicorn", "scikit-learn")
MLSERVER = Contender("MLServer, batching", OpenInference(), _mlserver(AT_ONCE), _MLSERVER, "mlserver")
PEERS = (
    Contender("MLServer", OpenInference(), _mlserver(1), _MLSERVER, "mlserver"),
    MLSERVER,
    Contender("LitServe", LitServe(), _litserve(1), _LITSERVE, "litserve"),
    Contender("LitServe, batching", LitServe(), _litserve(AT_ONCE), _LITSERVE, "litserve"),
    Contender("BentoML", BentoML(), _bentoml(1), _BENTOML, "bentoml"),
    Contender("BentoML, batching", BentoML(), _bentoml(AT_ONCE), _BENTOML, "bentoml"),
)
