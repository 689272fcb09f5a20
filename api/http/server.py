"""Runs uvicorn with every option given: it would read missing ones from the environment."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from api.http.connections import connections_of
from api.http.protocol import bounded_protocol
from program.open_files import raise_file_limit
from program.settings import Settings

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
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


def serve(
    app: FastAPI, settings: Settings, *, host: str, port: int, on_started: Callable[[], None] = lambda: None
) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what is under way, for at most `SHUTDOWN_SECONDS`.

    Raises `InvalidSettings` for more connections than the process may open files for.
    """
    # The log's writer takes the interpreter a few times for each commit, and every answer waits for that. While the
    # event loop is busy, each time would cost the default of 5 ms.
    sys.setswitchinterval(SWITCH_SECONDS)
    raise_file_limit()
    Server(config_of(app, settings, host=host, port=port), on_started).run()


def config_of(app: FastAPI, settings: Settings, *, host: str, port: int) -> uvicorn.Config:
    """Every option of uvicorn. Raises `InvalidSettings` for more connections than the process may open files for."""
    connections = app.state.connections = connections_of(settings)
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
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
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
