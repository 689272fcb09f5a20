"""Structured log output: one line for each event, and every line through one redactor."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from audit.redaction import scrub_secrets
from values.texts import shown


class RedactingFormatter(logging.Formatter):
    """Formats a line and takes every secret out of it.

    An exception is logged by its type and its lines of code, not by its message, which may hold a caller's values.
    """

    def __init__(self, form: Literal["json", "console"], worker: int | None = None) -> None:
        super().__init__()
        self._form = form
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # Escaped, a name of somebody's can neither begin a line of its own nor steer a terminal.
        message = shown(scrub_secrets(record.getMessage()))
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": message}
        if self._worker is not None:
            line["worker"] = self._worker
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = shown(_trace(record))
        if self._form == "json":
            return orjson.dumps(line).decode()
        begin = at[11:] if self._worker is None else f"{at[11:]} [{self._worker}]"
        return " ".join([begin, f"{line['level']:7}", message, line.get("error", ""), line.get("trace", "")]).rstrip()


def _trace(record: logging.LogRecord) -> str:
    frames, trace = [], record.exc_info[2] if record.exc_info else None
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(frames)


def configure_logs(form: Literal["json", "console"], level: str, worker: int | None = None) -> None:
    """Sends every logger's lines through the redactor to standard error; they name the worker, if there are several."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(form, worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("alembic").setLevel(logging.WARNING)
