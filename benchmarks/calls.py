"""Where a prediction's work goes: the calls that the event loop's thread makes for it, stage by stage.

    python -m benchmarks.calls [--requests 6400] [--connections 64] [--model iris] [--details STAGE]

The real server runs in this process under cProfile; a client in another process keeps its connections busy. Calls are
counted and not timed, so that another run on another machine gives the same numbers (within one or two, by how many
requests happen to be gathered). A call of the interpreter's own functions counts for the stage of its caller.
A plain FastAPI route that echoes its body is counted beside it. Processor time by stage is sampled in a run without
the profiler: every millisecond of it, the stage of the innermost function that has one is noted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import os
import pstats
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI, Request

from benchmarks import servers

ROW = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
WARM_UP = 1_280
#: The first part of a path that a function's file has decides its stage.
STAGES = (
    ("api/http/protocol.py", "connection"),
    ("api/http/endings.py", "connection"),
    ("api/http/connections.py", "connection"),
    ("uvicorn/", "connection"),
    ("api/http/middleware.py", "exchange"),
    ("api/limit_fields.py", "limit fields"),
    ("serving/call.py", "exchange"),
    ("values/ids.py", "exchange"),
    ("api/http/direct_route.py", "routing"),
    ("api/dependencies.py", "routing"),
    ("api/routes/", "routing"),
    ("api/http/accept.py", "routing"),
    ("fastapi/", "routing"),
    ("starlette/", "routing"),
    ("api/app.py", "routing"),
    ("api/http/security.py", "authentication"),
    ("auth/", "authentication"),
    ("quotas/", "charges"),
    ("api/http/body.py", "body"),
    ("serving/deadlines.py", "deadline"),
    ("serving/admission.py", "admission"),
    ("serving/predictor.py", "prediction"),
    ("serving/wire/", "wire format"),
    ("inference/rows/", "validation"),
    ("values/strict_json.py", "validation"),
    ("inference/registry.py", "finding the version"),
    ("inference/", "inference"),
    ("onnxruntime/", "inference"),
    ("audit/redaction.py", "record"),
    ("audit/record.py", "record"),
    ("audit/", "waiting for the log"),
    ("values/", "exchange"),
)
OTHER = "event loop"


def stage_of(file: str) -> str | None:
    """The stage of a function by its file; None for what is nobody's, such as the standard library."""
    return next((stage for part, stage in STAGES if f"/{part}" in file), None)


class Counted:
    """Function calls per request, by stage, of one server under one client."""

    def __init__(self, stats: pstats.Stats, requests: int) -> None:
        self.by_stage: Counter[str] = Counter()
        self.by_function: Counter[tuple[str, str]] = Counter()
        entries: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]  # it is not declared
        for (file, line, name), (_, calls, _, _, callers) in entries.items():
            stage = stage_of(file)
            if stage is not None or not callers:
                self._add(stage or OTHER, f"{_short(file)}:{line} {name}", calls / requests)
                continue
            for (caller_file, _, caller), (of_caller, *_) in callers.items():
                self._add(stage_of(caller_file) or OTHER, f"{_short(file)} {name} (of {caller})", of_caller / requests)

    def _add(self, stage: str, function: str, calls: float) -> None:
        self.by_stage[stage] += calls  # type: ignore[assignment]  # a mean is no integer
        self.by_function[stage, function] += calls  # type: ignore[assignment]  # the same


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=6_400)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--model", default="iris")
    parser.add_argument("--details", help="list the functions of this stage, or of `all`")
    options = parser.parse_args()
    os.sched_setaffinity(0, {servers.SERVER_CORE})
    echo, _ = _measured(_echo_config(), "/echo", "", options)
    with tempfile.TemporaryDirectory() as directory:
        config, key = _adyton_config(Path(directory))
        counted, microseconds = _measured(config, f"/v1/models/{options.model}/predict", key, options)
    print("| stage | calls | CPU µs |\n|---|---|---|")
    for stage, calls in counted.by_stage.most_common():
        print(f"| {stage} | {calls:.1f} | {microseconds[stage]:.1f} |")
    print(f"| all | {sum(counted.by_stage.values()):.1f} | {sum(microseconds.values()):.1f} |")
    print(f"| FastAPI echo | {sum(echo.by_stage.values()):.1f} | |")
    if options.details:
        for (stage, function), calls in counted.by_function.most_common():
            if options.details in ("all", stage) and calls >= 0.02:
                print(f"{calls:6.2f} {stage:20} {function}")


def _echo_config() -> uvicorn.Config:
    app = FastAPI()

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, Any]:
        row: dict[str, Any] = await request.json()
        return row

    return uvicorn.Config(app, log_config=None, access_log=False, log_level="critical")


def _adyton_config(directory: Path) -> tuple[uvicorn.Config, str]:
    from api.app import create_app  # noqa: PLC0415  only once the process is on its core
    from api.http.server import config_of  # noqa: PLC0415  the same
    from program.settings import read_settings  # noqa: PLC0415  the same

    os.environ |= {"ADYTON_SECRET": servers.SECRET, "ADYTON_DATABASE_URL": f"sqlite:///{directory}/adyton.db"}
    os.environ["ADYTON_MODELS_DIR"] = str(directory / "models")
    key = servers.prepare(directory, dict(os.environ), ())
    settings = read_settings()
    return config_of(create_app(settings), settings, host="127.0.0.1", port=0), key


def _measured(config: uvicorn.Config, path: str, key: str, options: argparse.Namespace) -> tuple[Counted, Counter[str]]:
    """Calls by stage, and microseconds by stage, of one request."""
    return uvloop.run(_measure(config, path, key, options))


async def _measure(
    config: uvicorn.Config, path: str, key: str, options: argparse.Namespace
) -> tuple[Counted, Counter[str]]:
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, _client(listening, path, key, options.connections):
        serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001  `serve` would take the signals
        await _answered(server, WARM_UP)
        profile = cProfile.Profile()
        begun = server.server_state.total_requests
        profile.enable()
        await _answered(server, begun + options.requests)
        profile.disable()
        counted = Counted(pstats.Stats(profile), server.server_state.total_requests - begun)
        sampled = await _sampled(server, 2 * options.requests)
        server.should_exit = True
        server.force_exit = True
        await serving
    return counted, sampled


async def _answered(server: uvicorn.Server, requests: int) -> None:
    while server.server_state.total_requests < requests:  # noqa: ASYNC110  nobody announces a count
        await asyncio.sleep(0.005)


async def _sampled(server: uvicorn.Server, requests: int) -> Counter[str]:
    """Microseconds of the process's CPU time by stage, of one request."""
    seen: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            if (stage := stage_of(frame.f_code.co_filename)) is not None:
                seen[stage] += 1
                return
            frame = frame.f_back
        seen[OTHER] += 1

    before = signal.signal(signal.SIGPROF, note)
    begun, started = server.server_state.total_requests, time.thread_time()
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    await _answered(server, begun + requests)
    signal.setitimer(signal.ITIMER_PROF, 0)
    took = time.thread_time() - started
    signal.signal(signal.SIGPROF, before)
    each = took * 1e6 / (server.server_state.total_requests - begun) / max(1, seen.total())
    return Counter({stage: samples * each for stage, samples in seen.items()})  # type: ignore[misc]  # means


@contextlib.contextmanager
def _client(listening: socket.socket, path: str, key: str, connections: int) -> Iterator[None]:
    """A process that asks for the same prediction again and again."""
    code = (
        "import os, sys; from itertools import repeat; from benchmarks import load\n"
        f"os.sched_setaffinity(0, {{{servers.CLIENT_CORE}}})\n"
        f"request = load.post({path!r}, {ROW!r}, {{'X-API-Key': {key!r}}} if {key!r} else {{}})\n"
        f"load.run({listening.getsockname()[1]}, repeat(request), connections={connections})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=servers.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
