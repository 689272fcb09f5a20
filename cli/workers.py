"""`adyton serve --workers N`: the supervisor, and what each of its workers does."""

from __future__ import annotations

import gc
import socket
from collections.abc import Sequence
from importlib import import_module

from cli.refusals import reason_of
from program.listening import listen
from program.log_output import configure_logs
from program.settings import Settings, read_settings
from program.supervisor import Supervisor
from program.worker import CLOSE_SECONDS, Worker

#: The server, and what nearly every model needs. Importing them takes 3 s of a processor; all else of a start, 0.6 s.
LOADED = ("api.app", "api.http.server", "sklearn.compose", "sklearn.ensemble", "sklearn.pipeline")
#: Beside what is under way and the log, a worker's threads and connections take a moment to end.
MARGIN_SECONDS = 5.0


def serve_with_workers(settings: Settings, host: str, port: int, count: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises `CannotListen` or `NeverServed`."""
    configure_logs(settings.log_format, settings.log_level)
    listeners = listen(host, port)
    _load()
    stop_seconds = settings.shutdown_seconds + CLOSE_SECONDS + MARGIN_SECONDS
    Supervisor(count, lambda worker: _work(worker, listeners), listeners, stop_seconds=stop_seconds).run()


def _load() -> None:
    """Imports what every worker needs, once: a worker that is forked after this starts in a fifth of the time."""
    for module in LOADED:
        import_module(module)
    # The workers' collectors would write to each object, and so copy the memory that they share.
    gc.collect()
    gc.freeze()


def _work(worker: Worker, listeners: Sequence[socket.socket]) -> None:
    from api.app import create_app  # noqa: PLC0415  imported before the fork, and by no other command
    from api.http.server import serve_as  # noqa: PLC0415  the same

    try:
        # Again: a file with the secret, or the folders of operators' own code, may have changed since.
        settings = read_settings()
        configure_logs(settings.log_format, settings.log_level, worker.post.number)
        serve_as(worker, create_app(settings, worker), settings, listeners)
    except Exception as error:
        reason = reason_of(error)
        if reason is None:
            raise
        worker.refuse(reason)
        raise SystemExit(1) from None
