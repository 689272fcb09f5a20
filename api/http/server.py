"""Runs uvicorn with every option given: it would read missing ones from the environment."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.http.accepting import SharedListener
from api.http.connections import connections_of
from api.http.endings import EndingProtocol
from api.http.protocol import bounded_protocol
from program.listening import BACKLOG
from program.open_files import raise_file_limit
from program.settings import Settings
from program.worker import Worker

KEEP_ALIVE_SECONDS = 75
SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """Calls back when it listens, and exits with 0 when it was told to stop."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # uvicorn would now raise the signal again, and the process would die of it.
        self._captured_signals.clear()


class SharingServer(Server):
    """One of several workers: accepts from sockets that all of them share, and ends when its supervisor says so."""

    def __init__(self, config: uvicorn.Config, worker: Worker, listeners: Sequence[socket.socket]) -> None:
        super().__init__(config, self._listen)
        self._worker = worker
        self._listeners = listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn itself listens on none.
        await super().startup(sockets or [])

    def _listen(self) -> None:
        listeners: Any = [SharedListener(each, self._new_protocol, self._excess) for each in self._listeners]
        self.servers = listeners
        self._worker.begin()

    async def on_tick(self, counter: int) -> bool:
        self._worker.live()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._worker.end()
        await super().shutdown(sockets)

    def _excess(self, arriving: int) -> int:
        """By how many connections this worker has more than the one with the fewest."""
        return self._worker.excess(len(self.server_state.connections) + arriving)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Ctrl+C reaches every process of a command. The supervisor decides, and a second signal is no hurry.
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)

    def _new_protocol(self) -> EndingProtocol:
        new: Any = self.config.http_protocol_class
        protocol: EndingProtocol = new(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def serve(
    app: FastAPI, settings: Settings, *, host: str, port: int, on_started: Callable[[], None] = lambda: None
) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what is under way, for at most `SHUTDOWN_SECONDS`.

    Raises `InvalidSettings` for more connections than the process may open files for.
    """
    Server(_config(app, settings, host=host, port=port), on_started).run()


def serve_as(worker: Worker, app: FastAPI, settings: Settings, listeners: Sequence[socket.socket]) -> None:
    """Does what `serve` does, as one of several workers."""
    SharingServer(_config(app, settings, worker=worker), worker, listeners).run()


def _config(
    app: FastAPI, settings: Settings, *, host: str = "", port: int = 0, worker: Worker | None = None
) -> uvicorn.Config:
    # The log's writer takes the interpreter a few times for each commit, and every answer waits for that. While the
    # event loop is busy, each time would cost the default of 5 ms.
    sys.setswitchinterval(SWITCH_SECONDS)
    raise_file_limit()
    connections = app.state.connections = connections_of(settings, worker)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="auto",
        http=bounded_protocol(settings.max_head_bytes, connections, settings.root_path),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        workers=1,
        # The middleware reads the caller's address; uvicorn takes any text of a stranger's for one.
        proxy_headers=False,
        forwarded_allow_ips=[],
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        backlog=BACKLOG,
    )


def is_free(host: str, port: int) -> bool:
    """Whether no other process listens on that port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
